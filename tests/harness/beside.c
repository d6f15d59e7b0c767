/*
 * A module for httpd that does what no module of httpd's own does: its handler looks at one subrequest while another one is
 * still there, and it chooses the server and the docroot of a request late.
 *
 * Owns: the handler `beside`, and the header fields below. Must not: decide what is right.
 *
 * /page?/first,/second,/third looks up the first two, and the third from within the first. It answers with the name of the
 * file that the third is mapped to.
 *
 * X-Server-When-Read: name, X-Server-When-Mapped: name: the request is for the virtual host of that name from then on.
 * X-Docroot-When-Read: path, X-Docroot-When-Mapped: path: its server has that docroot until the request ends.
 */
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <http_vhost.h>
#include <apr_strings.h>

static int answer(request_rec *r)
{
    char *rest;
    const char *first, *second, *third;
    request_rec *around;
    if (r->handler == NULL || strcmp(r->handler, "beside") != 0 || r->args == NULL) {
        return DECLINED;
    }
    first = apr_strtok(apr_pstrdup(r->pool, r->args), ",", &rest);
    second = apr_strtok(NULL, ",", &rest);
    third = apr_strtok(NULL, ",", &rest);
    if (third == NULL) {
        return HTTP_BAD_REQUEST;
    }
    around = ap_sub_req_lookup_uri(first, r, NULL);
    ap_sub_req_lookup_uri(second, r, NULL);
    ap_set_content_type(r, "text/plain");
    ap_rputs(ap_sub_req_lookup_uri(third, around, NULL)->filename, r);
    return OK;
}

struct swapped {
    const char **place;
    const char *before;
};

static apr_status_t swap_back(void *data)
{
    struct swapped *swapped = data;
    *swapped->place = swapped->before;
    return APR_SUCCESS;
}

static void choose(request_rec *r, const char *server_field, const char *docroot_field)
{
    const char *name = apr_table_get(r->headers_in, server_field);
    const char *docroot = apr_table_get(r->headers_in, docroot_field);
    if (name != NULL) {
        apr_table_setn(r->headers_in, "Host", name);
        r->hostname = name;
        ap_update_vhost_from_headers(r);
    }
    if (docroot != NULL && r->main == NULL && r->prev == NULL) {
        core_server_config *core = ap_get_core_module_config(r->server->module_config);
        struct swapped *swapped = apr_palloc(r->pool, sizeof(*swapped));
        swapped->place = &core->ap_document_root;
        swapped->before = core->ap_document_root;
        apr_pool_cleanup_register(r->pool, swapped, swap_back, apr_pool_cleanup_null);
        core->ap_document_root = docroot;
    }
}

static int when_read(request_rec *r)
{
    choose(r, "X-Server-When-Read", "X-Docroot-When-Read");
    return DECLINED;
}

static int when_mapped(request_rec *r)
{
    choose(r, "X-Server-When-Mapped", "X-Docroot-When-Mapped");
    return DECLINED;
}

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_post_read_request(when_read, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(when_mapped, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(beside) = {
    STANDARD20_MODULE_STUFF, .register_hooks = register_hooks,
};

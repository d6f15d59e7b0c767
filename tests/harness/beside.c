/*
 * A module for httpd whose handler looks at one subrequest while another one is still there, as no module of httpd's own
 * does.
 *
 * Owns: the handler `beside`. Must not: decide what is right.
 *
 * /page?/first,/second,/third looks up the first two, and the third from within the first. It answers with the name of the
 * file that the third is mapped to.
 */
#include <string.h>

#include <httpd.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
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

static void register_hooks(apr_pool_t *pool)
{
    (void)pool;
    ap_hook_handler(answer, NULL, NULL, APR_HOOK_MIDDLE);
}

AP_DECLARE_MODULE(beside) = {
    STANDARD20_MODULE_STUFF, .register_hooks = register_hooks,
};

/*
 * The headers of httpd and APR that the bindings are made from, and the declarations of the shim.
 *
 * Owns: the list of what the module knows of httpd. Must not: declare anything that httpd itself declares.
 */
#ifndef REALDOC_HEADERS_H
#define REALDOC_HEADERS_H

#include "httpd.h"
#include "ap_expr.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_status.h"
#include "ap_mpm.h"
#include "util_cfgtree.h"
#include "util_filter.h"
#include "apr_optional_hooks.h"
#include "apr_pools.h"
#include "apr_tables.h"

/* ap_set_module_config: makes `value` what `m` keeps in a configuration vector. */
void realdoc_set_module_config(ap_conf_vector_t *vector, const module *m, void *value);

/* ap_get_core_module_config for a server: httpd core's own settings of it. */
core_server_config *realdoc_core_server_config(const server_rec *s);

/* ap_get_core_module_config for a section: httpd core's part of it. */
core_dir_config *realdoc_core_dir_config(const ap_conf_vector_t *section);

/* APLOG_MODULE_IS_LEVEL: whether `s` logs lines of `m` at `level`. A NULL server logs everything. */
int realdoc_logs_level(const server_rec *s, const module *m, int level);

/* ap_log_error of one ready text, unless `s` leaves the level out. */
void realdoc_log(const char *file, int line, const module *m, int level, const server_rec *s, const char *text);

#endif

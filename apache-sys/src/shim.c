/*
 * httpd's macros as functions, because bindgen sees functions only.
 *
 * Owns: one function a macro. Must not: decide anything; every line here is the macro that it is named after.
 */
#include "headers.h"

void realdoc_set_module_config(ap_conf_vector_t *vector, const module *m, void *value)
{
    ap_set_module_config(vector, m, value);
}

core_server_config *realdoc_core_server_config(const server_rec *s)
{
    return (core_server_config *)ap_get_core_module_config(s->module_config);
}

core_dir_config *realdoc_core_dir_config(const ap_conf_vector_t *section)
{
    return (core_dir_config *)ap_get_core_module_config(section);
}

int realdoc_logs_level(const server_rec *s, const module *m, int level)
{
    return APLOG_MODULE_IS_LEVEL(s, m->module_index, level);
}

void realdoc_log(const char *file, int line, const module *m, int level, const server_rec *s, const char *text)
{
    ap_log_error(file, line, m->module_index, level, 0, s, "%s", text);
}

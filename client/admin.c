/* What administrators ask and do: the cluster's settings. Each act is one numbered request; who
 * and why go with it. docs/contract.md, sections 9 and 10. */
#include "client/include/holdfast_admin.h"

#include "client/look.h"

enum { CONFIG_ARENA_BYTES = 64 * 1024 };

static const char *copy(char *to, struct slice text)
{
    HF_ASSERT(text.size <= NAME_BYTES_MAX); /* the decoder's promise */
    if (text.size > 0) memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return to;
}

/* ------------------------------------------------------------------ CONFIG_GET */

static int show_settings(struct look *look)
{
    struct msg_config_reply reply;
    int rv = raw_decode(OP_CODE_CONFIG_GET, &look->reply, &look->arena, &reply);
    if (rv != HF_OK) return rv;
    const struct setting_line *lines = reply.settings.items;
    for (uint32_t i = 0; i < reply.settings.count; i++) {
        char name[NAME_BYTES_MAX + 1];
        char about[NAME_BYTES_MAX + 1];
        hf_setting setting = {
            .name = copy(name, lines[i].name),
            .value = lines[i].value,
            .initial = lines[i].initial,
            .min = lines[i].min,
            .max = lines[i].max,
            .changes = lines[i].changes,
            .about = copy(about, lines[i].about),
        };
        if (look->each.setting_cb(&setting, look->each_data) != 0) break;
    }
    return HF_OK;
}

static int make_config_get(hf_client *client, const char *name,
                           int (*each_cb)(const hf_setting *setting, void *data), void *data,
                           struct look **out)
{
    if (name == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_CONFIG_GET, CONFIG_ARENA_BYTES, show_settings, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.config = (struct msg_config_get){slice_of(name)};
    (*out)->each.setting_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_config_get(hf_client *client, const char *name,
                  int (*each_cb)(const hf_setting *setting, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_config_get(client, name, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_config_get_async(hf_client *client, const char *name,
                        int (*each_cb)(const hf_setting *setting, void *data), void *each_data,
                        hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_config_get(client, name, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

/* ------------------------------------------------------------------ CONFIG_SET */

int hf_config_set_async(hf_client *client, const char *name, uint64_t value,
                        const uint64_t *expected, const char *reason, const char *operator_name,
                        hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || name == NULL || operator_name == NULL || done_cb == NULL)
        return HF_EINVAL;
    struct msg_config_set set = {
        .name = slice_of(name),
        .value = value,
        .compares = expected != NULL,
        .expected = expected != NULL ? *expected : 0,
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, OP_CODE_CONFIG_SET, &set,
                     &(struct ending){done_cb, data, request, call});
}

int hf_config_set(hf_client *client, const char *name, uint64_t value, const uint64_t *expected,
                  const char *reason, const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_config_set_async(client, name, value, expected, reason, operator_name,
                                               request, shell_wake, &w, NULL));
}

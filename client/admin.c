/* What administrators ask and do: the cluster's settings, frozen
 * prefixes, the audit. Each act is one numbered
 * request; who and why go with it. docs/contract.md, sections 9 and 10. */
#include "client/include/holdfast_admin.h"

#include "client/look.h"

enum { CONFIG_ARENA_BYTES = 64 * 1024, PAGE_ACTS = 200 };

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
            .name = look_copy(name, sizeof name, lines[i].name),
            .value = lines[i].value,
            .initial = lines[i].initial,
            .min = lines[i].min,
            .max = lines[i].max,
            .changes = lines[i].changes,
            .about = look_copy(about, sizeof about, lines[i].about),
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

/* ------------------------------------------------------------------ FREEZE, THAW */

static int start_freeze(hf_client *client, uint16_t op, const char *prefix, const char *reason,
                        const char *operator_name, const struct ending *to)
{
    if (client == NULL || prefix == NULL || operator_name == NULL || to->done_cb == NULL)
        return HF_EINVAL;
    struct msg_freeze freeze = {
        .prefix = slice_of(prefix),
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    return shell_act(client, op, &freeze, to);
}

static int run_freeze(hf_client *client, uint16_t op, const char *prefix, const char *reason,
                      const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    const struct ending to = {shell_wake, &w, request, NULL};
    return shell_sleep(&w, start_freeze(client, op, prefix, reason, operator_name, &to));
}

int hf_freeze_async(hf_client *client, const char *prefix, const char *reason,
                    const char *operator_name, hf_request *request, hf_done_cb done_cb, void *data,
                    hf_call *call)
{
    const struct ending to = {done_cb, data, request, call};
    return start_freeze(client, OP_CODE_FREEZE, prefix, reason, operator_name, &to);
}

int hf_freeze(hf_client *client, const char *prefix, const char *reason, const char *operator_name,
              hf_request *request)
{
    return run_freeze(client, OP_CODE_FREEZE, prefix, reason, operator_name, request);
}

int hf_thaw_async(hf_client *client, const char *prefix, const char *reason,
                  const char *operator_name, hf_request *request, hf_done_cb done_cb, void *data,
                  hf_call *call)
{
    const struct ending to = {done_cb, data, request, call};
    return start_freeze(client, OP_CODE_THAW, prefix, reason, operator_name, &to);
}

int hf_thaw(hf_client *client, const char *prefix, const char *reason, const char *operator_name,
            hf_request *request)
{
    return run_freeze(client, OP_CODE_THAW, prefix, reason, operator_name, request);
}

static int show_frozen(struct look *look)
{
    struct msg_frozen_reply reply;
    int rv = raw_decode(OP_CODE_FROZEN_LIST, &look->reply, &look->arena, &reply);
    if (rv != HF_OK) return rv;
    const struct frozen_line *lines = reply.prefixes.items;
    for (uint32_t i = 0; i < reply.prefixes.count; i++) {
        char prefix[NAME_BYTES_MAX + 1];
        char operator_name[NAME_BYTES_MAX + 1];
        char reason[EVIDENCE_BYTES_MAX + 1];
        hf_frozen frozen = {
            .prefix = look_copy(prefix, sizeof prefix, lines[i].prefix),
            .since_ms = lines[i].since_ms,
            .wall_ms = lines[i].wall_ms,
            .operator_name = look_copy(operator_name, sizeof operator_name, lines[i].operator_name),
            .reason = look_copy(reason, sizeof reason, lines[i].reason),
        };
        if (look->each.frozen_cb(&frozen, look->each_data) != 0) break;
    }
    return HF_OK;
}

static int make_frozen_list(hf_client *client, int (*each_cb)(const hf_frozen *frozen, void *data),
                            void *data, struct look **out)
{
    if (each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_FROZEN_LIST, RAW_ARENA_BYTES, show_frozen, out);
    if (rv != HF_OK) return rv;
    (*out)->each.frozen_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_frozen_list(hf_client *client, int (*each_cb)(const hf_frozen *frozen, void *data),
                   void *data)
{
    struct look *look = NULL;
    int rv = make_frozen_list(client, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_frozen_list_async(hf_client *client, int (*each_cb)(const hf_frozen *frozen, void *data),
                         void *each_data, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_frozen_list(client, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

/* ------------------------------------------------------------------ FORCE */

int hf_force_async(hf_client *client, const char *name, uint64_t fencing_token, int now,
                   const char *reason, const char *operator_name, hf_request *request,
                   hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || name == NULL || operator_name == NULL || done_cb == NULL)
        return HF_EINVAL;
    struct msg_force force = {
        .name = slice_of(name),
        .fencing_token = fencing_token,
        .now = now != 0,
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    if (force.reason.size < FORCE_REASON_BYTES_MIN) return HF_EINVAL;
    return shell_act(client, OP_CODE_FORCE, &force, &(struct ending){done_cb, data, request, call});
}

int hf_force(hf_client *client, const char *name, uint64_t fencing_token, int now,
             const char *reason, const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_force_async(client, name, fencing_token, now, reason, operator_name,
                                          request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ REVOKE */

_Static_assert((int)HF_THEN_FORCE == (int)REVOKE_THEN_FORCE, "sent as it is");
_Static_assert((int)HF_THEN_ALARM == (int)REVOKE_THEN_ALARM, "sent as it is");

int hf_revoke_async(hf_client *client, const char *name, uint64_t fencing_token, uint64_t grace_ms,
                    int then, const char *reason, const char *operator_name, hf_request *request,
                    hf_done_cb done_cb, void *data, hf_call *call)
{
    if (client == NULL || name == NULL || operator_name == NULL || done_cb == NULL)
        return HF_EINVAL;
    if (then != HF_THEN_FORCE && then != HF_THEN_ALARM) return HF_EINVAL;
    struct msg_revoke revoke = {
        .name = slice_of(name),
        .fencing_token = fencing_token,
        .grace_ms = grace_ms,
        .then = (uint64_t)then,
        .reason = shell_text(reason),
        .operator_name = slice_of(operator_name),
    };
    if (revoke.reason.size < FORCE_REASON_BYTES_MIN) return HF_EINVAL;
    return shell_act(client, OP_CODE_REVOKE, &revoke,
                     &(struct ending){done_cb, data, request, call});
}

int hf_revoke(hf_client *client, const char *name, uint64_t fencing_token, uint64_t grace_ms,
              int then, const char *reason, const char *operator_name, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_revoke_async(client, name, fencing_token, grace_ms, then, reason,
                                           operator_name, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ AUDIT */

/* NUL-terminated copies for one act. */
struct act_text {
    char client_name[NAME_BYTES_MAX + 1];
    char principal[NAME_BYTES_MAX + 1];
    char peer[ADDRESS_BYTES_MAX + 1];
    char operator_name[NAME_BYTES_MAX + 1];
    char name[NAME_BYTES_MAX + 1];
    char reason[EVIDENCE_BYTES_MAX + 1];
    char before[NAME_BYTES_MAX + 1];
    char after[NAME_BYTES_MAX + 1];
};

static int show_act(const void *act_line, void *data)
{
    const struct act_line *from = act_line;
    const struct op_info *op = op_find((uint16_t)from->op);
    struct look *look = data;
    struct act_text text;
    const hf_act act = {
        .number = from->number,
        .at_ms = from->at_ms,
        .wall_ms = from->wall_ms,
        .session = from->session,
        .client_name = look_copy(text.client_name, sizeof text.client_name, from->client_name),
        .principal = look_copy(text.principal, sizeof text.principal, from->principal),
        .peer = look_copy(text.peer, sizeof text.peer, from->peer),
        .operator_name =
            look_copy(text.operator_name, sizeof text.operator_name, from->operator_name),
        .act = op != NULL ? op->name : "",
        .name = look_copy(text.name, sizeof text.name, from->name),
        .reason = look_copy(text.reason, sizeof text.reason, from->reason),
        .before = look_copy(text.before, sizeof text.before, from->before),
        .after = look_copy(text.after, sizeof text.after, from->after),
    };
    return look->each.act_cb(&act, look->each_data);
}

static int make_audit_list(hf_client *client, uint64_t since,
                           int (*each_cb)(const hf_act *act, void *data), void *data,
                           struct look **out)
{
    const struct msg_audit audit = {.cursor = since, .count_max = PAGE_ACTS};
    if (each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_AUDIT, RAW_ARENA_BYTES, look_show_page, out);
    if (rv != HF_OK) return rv;
    raw_pages_init(&(*out)->ask.pages, OP_CODE_AUDIT, &audit, show_act, *out);
    (*out)->each.act_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_audit_list(hf_client *client, uint64_t since, int (*each_cb)(const hf_act *act, void *data),
                  void *data)
{
    struct look *look = NULL;
    int rv = make_audit_list(client, since, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_audit_list_async(hf_client *client, uint64_t since,
                        int (*each_cb)(const hf_act *act, void *data), void *each_data,
                        hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_audit_list(client, since, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

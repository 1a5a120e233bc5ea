/* Looking at records: what each call asks, and how an answer is shown, line by line, to the
 * caller's callback. Strings are copied for their NUL. look_run.c runs them. */
#include "client/look.h"

#include "protocol/scan.h"

static const char *const state_words[] = {"",          "RUNNING", "DONE",     "FAILED",
                                          "RETRYABLE", "UNKNOWN", "TOMBSTONE"};
_Static_assert(HF_ARRAY_COUNT(state_words) == RECORD_STATE_MAX + 1, "a word a state");

/* \return NULL: none were asked for. */
static const char *const *derive_keys(struct look *look, const char *secret_id, const char *key)
{
    struct look_steps *steps = &look->steps;
    for (uint32_t i = 0; i < steps->count; i++) {
        int rv = hf_derive(look->client, secret_id, key, steps->names[i], steps->derived[i]);
        if (rv != HF_OK) steps->derived[i][0] = '\0'; /* no secret, or none that is known here */
        steps->keys[i] = steps->derived[i];
    }
    return steps->count > 0 ? steps->keys : NULL;
}

static int show_record(const void *record_line, void *data)
{
    const struct record_line *from = record_line;
    struct look *look = data;
    struct look_text *text = &look->text;
    hf_record_line line = {
        .key = look_copy(text->name, sizeof text->name, from->key),
        .state = state_words[from->state],
        .fencing_token = from->fencing_token,
        .attempt = (uint32_t)from->attempt,
        .code = (uint32_t)from->code,
        .since_ms = from->since_ms,
        .left_ms = from->left_ms,
        .external = (int)from->external,
        .checkpoint = look_copy(text->checkpoint, sizeof text->checkpoint, from->checkpoint),
        .client_name = look_copy(text->client_name, sizeof text->client_name, from->client_name),
        .peer = look_copy(text->peer, sizeof text->peer, from->peer),
        .secret_id = look_copy(text->secret_id, sizeof text->secret_id, from->secret_id),
        .outcome = state_words[from->outcome],
        .lapsed = from->lapsed != 0,
    };
    line.derived_keys = derive_keys(look, line.secret_id, line.key);
    return look->each.record_cb(&line, look->each_data);
}

static int find_state(const char *word, uint64_t *state)
{
    for (uint64_t i = 0; word != NULL && i < HF_ARRAY_COUNT(state_words); i++) {
        if (strcmp(word, state_words[i]) != 0) continue;
        *state = i;
        return HF_OK;
    }
    return word == NULL ? HF_OK : HF_EINVAL;
}

static int keep_steps(struct look *look, const hf_record_filter *filter)
{
    struct look_steps *steps = &look->steps;
    if (filter->step_count > HF_STEPS_MAX) return HF_EINVAL;
    if (filter->step_count > 0 && filter->steps == NULL) return HF_EINVAL;
    for (size_t i = 0; i < filter->step_count; i++) {
        struct slice step;
        int rv = look_keep(steps->names[i], filter->steps[i], &step);
        if (rv != HF_OK) return rv;
        if (step.size == 0 || !scan_is_text(step)) return HF_EINVAL;
        steps->count += 1;
    }
    return HF_OK;
}

static int make_record_list(hf_client *client, const hf_record_filter *filter,
                            int (*each_cb)(const hf_record_line *line, void *data), void *data,
                            struct look **out)
{
    static const hf_record_filter all = {0};
    struct look *look;
    if (filter == NULL) filter = &all;
    if (each_cb == NULL) return HF_EINVAL;
    struct msg_record_list list = {.older_than_ms = filter->older_than_ms,
                                   .count_max = LOOK_PAGE_ITEMS};
    if (find_state(filter->state, &list.state) != HF_OK) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_RECORD_LIST, RAW_ARENA_BYTES, look_show_page, &look);
    if (rv != HF_OK) return rv;
    rv = look_keep(look->prefix, filter->prefix, &list.prefix);
    if (rv == HF_OK) rv = keep_steps(look, filter);
    if (rv != HF_OK) return look_drop(look, rv);
    raw_pages_init(&look->ask.pages, OP_CODE_RECORD_LIST, &list, show_record, look);
    look->each.record_cb = each_cb;
    look->each_data = data;
    *out = look;
    return HF_OK;
}

int hf_record_list_with(hf_client *client, const hf_record_filter *filter,
                        int (*each_cb)(const hf_record_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_record_list(client, filter, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_record_list_with_async(hf_client *client, const hf_record_filter *filter,
                              int (*each_cb)(const hf_record_line *line, void *data),
                              void *each_data, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_record_list(client, filter, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

int hf_record_list(hf_client *client, const char *prefix, const char *state, uint64_t older_than_ms,
                   int (*each_cb)(const hf_record_line *line, void *data), void *data)
{
    const hf_record_filter filter = {
        .prefix = prefix, .state = state, .older_than_ms = older_than_ms};
    if (prefix == NULL || state == NULL) return HF_EINVAL;
    return hf_record_list_with(client, &filter, each_cb, data);
}

int hf_record_list_async(hf_client *client, const char *prefix, const char *state,
                         uint64_t older_than_ms,
                         int (*each_cb)(const hf_record_line *line, void *data), void *each_data,
                         hf_done_cb done_cb, void *data, hf_call *call)
{
    const hf_record_filter filter = {
        .prefix = prefix, .state = state, .older_than_ms = older_than_ms};
    if (prefix == NULL || state == NULL) return HF_EINVAL;
    return hf_record_list_with_async(client, &filter, each_cb, each_data, done_cb, data, call);
}

static int show_one_record(struct look *look)
{
    struct msg_record_reply r;
    int rv = raw_decode(OP_CODE_RECORD_GET, &look->reply, &look->arena, &r);
    if (rv != HF_OK) return rv;
    struct record_line line = {
        .key = r.key,
        .state = r.state,
        .fencing_token = r.fencing_token,
        .attempt = r.attempt,
        .code = r.code,
        .since_ms = r.since_ms,
        .left_ms = r.left_ms,
        .external = r.external,
        .checkpoint = r.checkpoint,
        .client_name = r.client_name,
        .peer = r.peer,
        .secret_id = r.secret_id,
        .outcome = r.outcome,
        .lapsed = r.lapsed,
    };
    (void)show_record(&line, look);
    return HF_OK;
}

static int make_record_info(hf_client *client, const char *key,
                            int (*each_cb)(const hf_record_line *line, void *data), void *data,
                            struct look **out)
{
    if (key == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_RECORD_GET, RAW_ARENA_BYTES, show_one_record, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.get = (struct msg_record_get){slice_of(key)};
    (*out)->each.record_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_record_info(hf_client *client, const char *key,
                   int (*each_cb)(const hf_record_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_record_info(client, key, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_record_info_async(hf_client *client, const char *key,
                         int (*each_cb)(const hf_record_line *line, void *data), void *each_data,
                         hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_record_info(client, key, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

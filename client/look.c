/* Looking at locks and records: one read, or one a page, shown line by line to a callback on the
 * caller's thread. Strings are copied for their NUL. */
#include "client/raw.h"
#include "client/shell.h"

enum { PAGE_ITEMS = 200 };

/** NUL-terminated copies for one line. */
struct text {
    char name[NAME_BYTES_MAX + 1];        /**< lock or key */
    char checkpoint[NAME_BYTES_MAX + 1];  /**< record */
    char client_name[NAME_BYTES_MAX + 1]; /**< whose */
    char peer[ADDRESS_BYTES_MAX + 1];     /**< from where */
};

static const char *copy(char *to, struct slice text)
{
    HF_ASSERT(text.size <= NAME_BYTES_MAX); /* the decoder's promise */
    if (text.size > 0) memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return to;
}

int hf_lock_check(hf_client *client, const char *name, uint64_t fencing_token, int *verdict,
                  uint64_t *lease_left_ms)
{
    if (client == NULL || name == NULL || verdict == NULL) return HF_EINVAL;
    struct msg_check check = {slice_of(name), fencing_token};
    struct msg_check_reply answer;
    struct arena arena;
    int rv = arena_init(&arena, 4096);
    if (rv != HF_OK) return rv;
    rv = raw_call(client, OP_CODE_CHECK, &check, &arena, &answer);
    arena_close(&arena);
    if (rv != HF_OK) return rv;
    *verdict = (int)answer.verdict;
    if (lease_left_ms != NULL) *lease_left_ms = answer.lease_left_ms;
    return HF_OK;
}

static int read_list(hf_client *client, uint16_t op, const void *request,
                     int (*each_cb)(const void *line, void *data), void *data)
{
    struct arena arena;
    int rv = arena_init(&arena, RAW_ARENA_BYTES);
    if (rv != HF_OK) return rv;
    rv = raw_list(client, op, request, &arena, each_cb, data);
    arena_close(&arena);
    return rv;
}

/* ------------------------------------------------------------------ locks */

/** Whom locks are shown to. */
struct lock_viewer {
    int (*each_cb)(const hf_lock_line *line, void *data); /**< the caller's */
    void *data;                                           /**< handed to it */
    struct text text;                                     /**< of the present line */
};

static int show_lock(const void *lock_line, void *data)
{
    const struct lock_line *from = lock_line;
    struct lock_viewer *viewer = data;
    struct text *text = &viewer->text;
    hf_lock_line line = {
        .name = copy(text->name, from->name),
        .mode = (int)from->mode,
        .holder_count = (uint32_t)from->holder_count,
        .queue_length = (uint32_t)from->queue_length,
        .fencing_token = from->fencing_token,
        .since_ms = from->since_ms,
        .lease_left_ms = from->lease_left_ms,
        .delay_left_ms = from->delay_left_ms,
        .client_name = copy(text->client_name, from->client_name),
        .peer = copy(text->peer, from->peer),
    };
    return viewer->each_cb(&line, viewer->data);
}

int hf_lock_list(hf_client *client, const char *prefix,
                 int (*each_cb)(const hf_lock_line *line, void *data), void *data)
{
    if (client == NULL || prefix == NULL || each_cb == NULL) return HF_EINVAL;
    struct msg_list list = {.prefix = slice_of(prefix), .count_max = PAGE_ITEMS};
    struct lock_viewer viewer = {.each_cb = each_cb, .data = data};
    return read_list(client, OP_CODE_LIST, &list, show_lock, &viewer);
}

int hf_lock_info(hf_client *client, const char *name,
                 int (*each_cb)(const hf_lock_line *line, void *data), void *data)
{
    if (client == NULL || name == NULL || each_cb == NULL) return HF_EINVAL;
    struct msg_info request = {slice_of(name)};
    struct msg_info_reply info;
    struct arena arena;
    int rv = arena_init(&arena, RAW_ARENA_BYTES);
    if (rv == HF_OK) rv = raw_call(client, OP_CODE_INFO, &request, &arena, &info);
    if (rv == HF_OK && info.holder_count == 0 && info.queue_length == 0 &&
        info.delay_left_ms == 0 && info.last_reason == 0)
        rv = HF_ENOTFOUND;
    if (rv == HF_OK) {
        struct lock_line line = {.name = info.name,
                                 .holder_count = info.holder_count,
                                 .queue_length = info.queue_length,
                                 .delay_left_ms = info.delay_left_ms};
        if (info.holders.count > 0) {
            const struct holder_info *first = info.holders.items;
            line.mode = first->mode;
            line.fencing_token = first->fencing_token;
            line.since_ms = first->since_ms;
            line.lease_left_ms = first->lease_left_ms;
            line.client_name = first->client_name;
            line.peer = first->peer;
        }
        struct lock_viewer viewer = {.each_cb = each_cb, .data = data};
        (void)show_lock(&line, &viewer);
    }
    arena_close(&arena);
    return rv;
}

/* ------------------------------------------------------------------ records */

static const char *const state_words[] = {"",          "RUNNING", "DONE",     "FAILED",
                                          "RETRYABLE", "UNKNOWN", "TOMBSTONE"};
_Static_assert(HF_ARRAY_COUNT(state_words) == RECORD_STATE_MAX + 1, "a word a state");

/** Whom records are shown to. */
struct record_viewer {
    int (*each_cb)(const hf_record_line *line, void *data); /**< the caller's */
    void *data;                                             /**< handed to it */
    struct text text;                                       /**< of the present line */
};

static int show_record(const void *record_line, void *data)
{
    const struct record_line *from = record_line;
    struct record_viewer *viewer = data;
    struct text *text = &viewer->text;
    hf_record_line line = {
        .key = copy(text->name, from->key),
        .state = state_words[from->state],
        .fencing_token = from->fencing_token,
        .attempt = (uint32_t)from->attempt,
        .code = (uint32_t)from->code,
        .since_ms = from->since_ms,
        .left_ms = from->left_ms,
        .external = (int)from->external,
        .checkpoint = copy(text->checkpoint, from->checkpoint),
        .client_name = copy(text->client_name, from->client_name),
        .peer = copy(text->peer, from->peer),
        .outcome = state_words[from->outcome],
        .lapsed = from->lapsed != 0,
    };
    return viewer->each_cb(&line, viewer->data);
}

static int find_state(const char *word, uint64_t *state)
{
    for (uint64_t i = 0; word != NULL && i < HF_ARRAY_COUNT(state_words); i++) {
        if (strcmp(word, state_words[i]) != 0) continue;
        *state = i;
        return HF_OK;
    }
    return HF_EINVAL;
}

int hf_record_list(hf_client *client, const char *prefix, const char *state, uint64_t older_than_ms,
                   int (*each_cb)(const hf_record_line *line, void *data), void *data)
{
    if (client == NULL || prefix == NULL || each_cb == NULL) return HF_EINVAL;
    struct msg_record_list list = {
        .prefix = slice_of(prefix), .older_than_ms = older_than_ms, .count_max = PAGE_ITEMS};
    if (find_state(state, &list.state) != HF_OK) return HF_EINVAL;
    struct record_viewer viewer = {.each_cb = each_cb, .data = data};
    return read_list(client, OP_CODE_RECORD_LIST, &list, show_record, &viewer);
}

int hf_record_info(hf_client *client, const char *key,
                   int (*each_cb)(const hf_record_line *line, void *data), void *data)
{
    if (client == NULL || key == NULL || each_cb == NULL) return HF_EINVAL;
    struct msg_record_get request = {slice_of(key)};
    struct msg_record_reply r;
    struct arena arena;
    int rv = arena_init(&arena, RAW_ARENA_BYTES);
    if (rv == HF_OK) rv = raw_call(client, OP_CODE_RECORD_GET, &request, &arena, &r);
    if (rv == HF_OK) {
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
            .outcome = r.outcome,
            .lapsed = r.lapsed,
        };
        struct record_viewer viewer = {.each_cb = each_cb, .data = data};
        (void)show_record(&line, &viewer);
    }
    arena_close(&arena);
    return rv;
}

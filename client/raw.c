/* Reads: sent on any connection, repeated over others until the time-out, decoded here
 * outside the core, so that a broken answer is one call's HF_ECORRUPT and nobody else's. */
#include "client/raw.h"

#include <stdio.h>

#include "client/shell.h"

int raw_decode(uint16_t op, const struct buffer *reply, struct arena *arena, void *answer)
{
    struct slice bytes = buffer_slice(reply);
    void *copy = arena_take(arena, bytes.size > 0 ? bytes.size : 1);
    if (copy == NULL) return HF_ENOMEM;
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    int rv = codec_decode(op_find(op)->answer, slice_make(copy, bytes.size), arena, answer);
    return rv == HF_OK || rv == HF_ENOMEM ? rv : HF_ECORRUPT;
}

/* take_cb: the answer's bytes go to whoever decodes them, the call gets an empty buffer. */
static int take(struct call *call, int verdict)
{
    struct buffer *reply = call->output;
    if (verdict != HF_OK) return verdict;
    buffer_close(reply);
    *reply = call->reply;
    buffer_init(&call->reply, FRAME_BYTES_MAX);
    return HF_OK;
}

int raw_start(hf_client *client, uint16_t op, const void *request, uint64_t wait_ms,
              struct buffer *reply, const struct ending *to)
{
    HF_ASSERT(op_find(op) != NULL);
    HF_ASSERT((op_find(op)->traits & (OP_READ | OP_DOOR)) != 0);
    struct call *call;
    int rv = shell_begin(client, op, request, &call);
    if (rv != HF_OK) return rv;
    call->fate = FATE_REPEAT;
    call->wants_reply = true;
    call->output = reply;
    call->take_cb = take;
    shell_submit(client, call, wait_ms, to);
    return HF_OK;
}

int raw_wait(hf_client *client, uint16_t op, const void *request, uint64_t wait_ms,
             struct buffer *reply)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    const struct ending to = {.done_cb = shell_wake, .data = &w};
    return shell_sleep(&w, raw_start(client, op, request, wait_ms, reply, &to));
}

int raw_call(hf_client *client, uint16_t op, const void *request, struct arena *arena, void *answer)
{
    struct buffer reply;
    buffer_init(&reply, FRAME_BYTES_MAX);
    int rv = raw_wait(client, op, request, 0, &reply);
    if (rv == HF_OK) rv = raw_decode(op, &reply, arena, answer);
    buffer_close(&reply);
    return rv;
}

/* ------------------------------------------------------------------ lists */

/* A list's op: where the cursors and the lines are. */
struct list_shape {
    uint16_t op;
    bool numbers;      /* its cursors are numbers, not texts */
    size_t texts;      /* else a cursor is so many texts, one behind the other: 1 or 2 */
    size_t cursor_at;  /* in the request */
    size_t next_at;    /* the next page's cursor, in the answer */
    size_t lines_at;   /* in the answer */
    size_t line_bytes; /* of the lines' struct */
    size_t request_bytes;
};

#define SHAPE(OP, REQUEST, ANSWER, LINES, LINE, NUMBERS) \
    SHAPE_AT(OP, REQUEST, ANSWER, LINES, LINE, NUMBERS, 1, cursor)
#define SHAPE_AT(OP, REQUEST, ANSWER, LINES, LINE, NUMBERS, TEXTS, CURSOR)                         \
    {                                                                                              \
        .op = OP, .numbers = NUMBERS, .texts = TEXTS,                                              \
        .cursor_at = offsetof(struct REQUEST, CURSOR), .next_at = offsetof(struct ANSWER, CURSOR), \
        .lines_at = offsetof(struct ANSWER, LINES), .line_bytes = sizeof(struct LINE),             \
        .request_bytes = sizeof(struct REQUEST)                                                    \
    }

static const struct list_shape shapes[] = {
    SHAPE(OP_CODE_LIST, msg_list, msg_list_reply, locks, lock_line, false),
    SHAPE(OP_CODE_RECORD_LIST, msg_record_list, msg_record_list_reply, records, record_line, false),
    SHAPE(OP_CODE_RECORD_EXPORT, msg_record_list, msg_record_export_reply, records, record_bytes,
          false),
    SHAPE(OP_CODE_SESSION_LIST, msg_session_list, msg_session_list_reply, sessions, session_line,
          true),
    SHAPE(OP_CODE_TIMER_LIST, msg_timer_list, msg_timer_list_reply, timers, timer_line, false),
    SHAPE_AT(OP_CODE_BRANCH_LIST, msg_branch_list, msg_branch_list_reply, branches, branch_line,
             false, 2, cursor_gid),
    SHAPE(OP_CODE_AUDIT, msg_audit, msg_audit_reply, acts, act_line, true),
};

/* NULL: not read page by page. */
static const struct list_shape *find_shape(uint16_t op)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(shapes); i++) {
        if (shapes[i].op == op) return &shapes[i];
    }
    return NULL;
}

static const struct list_shape *shape_of(uint16_t op)
{
    const struct list_shape *s = find_shape(op);
    HF_ASSERT(s != NULL);
    return s;
}

bool raw_is_list(uint16_t op)
{
    return find_shape(op) != NULL;
}

union list_answer {
    struct msg_list_reply locks;
    struct msg_record_list_reply records;
    struct msg_record_export_reply exported;
    struct msg_session_list_reply sessions;
    struct msg_timer_list_reply timers;
    struct msg_branch_list_reply branches;
    struct msg_audit_reply acts;
};

_Static_assert(offsetof(struct msg_branch_list, cursor_branch) ==
                   offsetof(struct msg_branch_list, cursor_gid) + sizeof(struct slice),
               "one behind the other");
_Static_assert(offsetof(struct msg_branch_list_reply, cursor_branch) ==
                   offsetof(struct msg_branch_list_reply, cursor_gid) + sizeof(struct slice),
               "likewise");

/* Move the request's cursor on. A page may be empty before the end: only an empty cursor is the
 * end, or one that does not rise, which would be read for ever.
 * A text's bytes are kept beyond the page that they came with. */
static bool move_on(const struct list_shape *s, struct raw_pages *pages,
                    const union list_answer *page)
{
    void *cursor = (uint8_t *)&pages->request + s->cursor_at;
    const void *next = (const uint8_t *)page + s->next_at;
    if (s->numbers) {
        uint64_t *at = cursor;
        bool rises = *(const uint64_t *)next > *at;
        *at = *(const uint64_t *)next;
        return rises;
    }
    struct slice *at = cursor;
    const struct slice *to = next;
    int order = 0;
    for (size_t i = 0; i < s->texts; i++) {
        HF_ASSERT(to[i].size <= NAME_BYTES_MAX); /* the decoder's promise */
        if (order == 0) order = slice_compare(to[i], at[i]);
        if (to[i].size > 0) memcpy(pages->kept[i], to[i].data, to[i].size);
        at[i] = slice_make(pages->kept[i], to[i].size);
    }
    return order > 0;
}

void raw_pages_init(struct raw_pages *pages, uint16_t op, const void *request,
                    int (*each_cb)(const void *line, void *data), void *data)
{
    *pages = (struct raw_pages){.op = op, .each_cb = each_cb, .data = data};
    memcpy(&pages->request, request, shape_of(op)->request_bytes);
}

int raw_pages_show(struct raw_pages *pages, const struct buffer *reply, struct arena *arena)
{
    const struct list_shape *s = shape_of(pages->op);
    union list_answer page;
    arena_reset(arena);
    int rv = raw_decode(pages->op, reply, arena, &page);
    if (rv != HF_OK) return rv;
    const struct codec_list *lines = (const void *)((const uint8_t *)&page + s->lines_at);
    const uint8_t *line = lines->items;
    for (uint32_t i = 0; i < lines->count; i++, line += s->line_bytes) {
        if (pages->each_cb(line, pages->data) != 0) return HF_OK;
    }
    return move_on(s, pages, &page) ? RAW_MORE : HF_OK;
}

int raw_list(hf_client *client, uint16_t op, const void *request, struct arena *arena,
             int (*each_cb)(const void *line, void *data), void *data)
{
    struct raw_pages pages;
    struct buffer reply;
    raw_pages_init(&pages, op, request, each_cb, data);
    buffer_init(&reply, FRAME_BYTES_MAX);
    int rv;
    do {
        rv = raw_wait(client, op, &pages.request, 0, &reply);
        if (rv == HF_OK) rv = raw_pages_show(&pages, &reply, arena);
    } while (rv == RAW_MORE);
    buffer_close(&reply);
    return rv;
}

/* ------------------------------------------------------------------ the server */

bool raw_endpoint(hf_client *client, char *out)
{
    out[0] = '\0';
    if (shell_enter(client) != HF_OK) return false;
    const char *target = core_target(&client->core);
    memcpy(out, target, strlen(target) + 1);
    bool stands = client->core.link.state >= LINK_OPEN;
    pthread_mutex_unlock(&client->lock);
    return stands;
}

struct branch_line raw_branch_line(const struct msg_branch_info *info)
{
    return (struct branch_line){
        .gid = info->gid,
        .branch = info->branch,
        .step = info->step,
        .state = info->state,
        .lapsed = info->lapsed,
        .tried = info->tried,
        .fencing_token = info->fencing_token,
        .attempt = info->attempt,
        .failed_count = info->failed_count,
        .code = info->code,
        .since_ms = info->since_ms,
        .left_ms = info->left_ms,
        .client_name = info->client_name,
        .peer = info->peer,
    };
}

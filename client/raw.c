/* Reads: sent on any connection, repeated over others until the time-out, decoded here on the
 * caller's thread, so that a broken answer is one call's HF_ECORRUPT and nobody else's. */
#include "client/raw.h"

#include <stdio.h>

#include "client/shell.h"

static int decode(struct call *call, struct arena *arena, void *answer)
{
    struct slice bytes = buffer_slice(&call->reply);
    void *copy = arena_take(arena, bytes.size > 0 ? bytes.size : 1);
    if (copy == NULL) return HF_ENOMEM;
    if (bytes.size > 0) memcpy(copy, bytes.data, bytes.size);
    int rv = codec_decode(call->op->answer, slice_make(copy, bytes.size), arena, answer);
    return rv == HF_OK || rv == HF_ENOMEM ? rv : HF_ECORRUPT;
}

int raw_call(hf_client *client, uint16_t op, const void *request, struct arena *arena, void *answer)
{
    HF_ASSERT(op_find(op) != NULL);
    HF_ASSERT((op_find(op)->traits & (OP_READ | OP_DOOR)) != 0);
    struct call *call;
    int rv = shell_begin(client, op, request, &call);
    if (rv != HF_OK) return rv;
    call->fate = FATE_REPEAT;
    call->wants_reply = true;
    int verdict = shell_run(client, call, 0);
    if (verdict == HF_OK) verdict = decode(call, arena, answer);
    return shell_end(client, call, verdict, NULL);
}

/* ------------------------------------------------------------------ lists */

/* A list's op: where the cursors and the lines are. */
struct list_shape {
    uint16_t op;
    bool numbers;      /* its cursors are numbers, not texts */
    size_t cursor_at;  /* in the request */
    size_t next_at;    /* the next page's cursor, in the answer */
    size_t lines_at;   /* in the answer */
    size_t line_bytes; /* of the lines' struct */
    size_t request_bytes;
};

#define SHAPE(OP, REQUEST, ANSWER, LINES, LINE, NUMBERS)                                        \
    {                                                                                           \
        .op = OP, .numbers = NUMBERS, .cursor_at = offsetof(struct REQUEST, cursor),            \
        .next_at = offsetof(struct ANSWER, cursor), .lines_at = offsetof(struct ANSWER, LINES), \
        .line_bytes = sizeof(struct LINE), .request_bytes = sizeof(struct REQUEST)              \
    }

static const struct list_shape shapes[] = {
    SHAPE(OP_CODE_LIST, msg_list, msg_list_reply, locks, lock_line, false),
    SHAPE(OP_CODE_RECORD_LIST, msg_record_list, msg_record_list_reply, records, record_line, false),
    SHAPE(OP_CODE_SESSION_LIST, msg_session_list, msg_session_list_reply, sessions, session_line,
          true),
};

static const struct list_shape *shape_of(uint16_t op)
{
    const struct list_shape *s = shapes;
    while (s->op != op) {
        s += 1;
        HF_ASSERT(s < shapes + HF_ARRAY_COUNT(shapes));
    }
    return s;
}

union list_request {
    struct msg_list locks;
    struct msg_record_list records;
    struct msg_session_list sessions;
};

union list_answer {
    struct msg_list_reply locks;
    struct msg_record_list_reply records;
    struct msg_session_list_reply sessions;
};

/* Move the request's cursor on. A page may be empty before the end: only an empty cursor is the
 * end, or one that does not rise, which would be read for ever.
 * `kept`: a text's bytes, NAME_BYTES_MAX of them, beyond the page that it came with. */
static bool move_on(const struct list_shape *s, union list_request *request,
                    const union list_answer *page, uint8_t *kept)
{
    void *cursor = (uint8_t *)request + s->cursor_at;
    const void *next = (const uint8_t *)page + s->next_at;
    if (s->numbers) {
        uint64_t *at = cursor;
        bool rises = *(const uint64_t *)next > *at;
        *at = *(const uint64_t *)next;
        return rises;
    }
    struct slice *at = cursor;
    const struct slice *to = next;
    HF_ASSERT(to->size <= NAME_BYTES_MAX); /* the decoder's promise */
    bool rises = slice_compare(*to, *at) > 0;
    if (to->size > 0) memcpy(kept, to->data, to->size);
    *at = slice_make(kept, to->size);
    return rises;
}

int raw_list(hf_client *client, uint16_t op, const void *request, struct arena *arena,
             int (*each_cb)(const void *line, void *data), void *data)
{
    const struct list_shape *s = shape_of(op);
    uint8_t kept[NAME_BYTES_MAX];
    union list_request mine;
    union list_answer page;
    memcpy(&mine, request, s->request_bytes);
    do {
        arena_reset(arena);
        int rv = raw_call(client, op, &mine, arena, &page);
        if (rv != HF_OK) return rv;
        const struct codec_list *lines = (const void *)((const uint8_t *)&page + s->lines_at);
        const uint8_t *line = lines->items;
        for (uint32_t i = 0; i < lines->count; i++, line += s->line_bytes) {
            if (each_cb(line, data) != 0) return HF_OK;
        }
    } while (move_on(s, &mine, &page, kept));
    return HF_OK;
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

/* See raft/peer_frame.h. Each kind is written and read side by side, field by field. */
#include "raft/peer_frame.h"

#include "base/hash.h"
#include "base/status.h"

enum {
    CHECKED_FROM = 8, /* the check is over what follows it */
    KIND_AT = 8,
    ENTRY_HEAD_BYTES = 16, /* term, type, 3 zero bytes, size */
    APPEND_HEAD_BYTES = 8 + 8 + 8 + 8 + 4,
};

_Static_assert(PEER_APPEND_BYTES_MAX + LOG_ENTRY_BYTES_MAX +
                       MESSAGE_ENTRIES_MAX * ENTRY_HEAD_BYTES + APPEND_HEAD_BYTES +
                       PEER_FRAME_HEADER_BYTES <=
                   PEER_FRAME_BYTES_MAX,
               "every append fits in a frame");
_Static_assert(2 * PEER_TEXT_BYTES_MAX + 128 <= PEER_FRAME_BYTES_FIRST, "an introduction fits");

/* ------------------------------------------------------------------ writing */

/* A frame under construction; the first error stays. */
struct writer {
    struct buffer *out;
    size_t begin; /* of the frame in `out` */
    int status;
};

static void add(struct writer *w, const void *data, size_t bytes)
{
    if (w->status == HF_OK && bytes > 0) w->status = buffer_append(w->out, data, bytes);
}

static void add_u8(struct writer *w, uint8_t value)
{
    add(w, &value, 1);
}

static void add_u32(struct writer *w, uint32_t value)
{
    uint8_t bytes[4];
    put_u32(bytes, value);
    add(w, bytes, sizeof bytes);
}

static void add_u64(struct writer *w, uint64_t value)
{
    uint8_t bytes[8];
    put_u64(bytes, value);
    add(w, bytes, sizeof bytes);
}

static void add_text(struct writer *w, struct slice text)
{
    HF_ASSERT(text.size <= PEER_TEXT_BYTES_MAX);
    add_u8(w, (uint8_t)text.size);
    add(w, text.data, text.size);
}

static struct writer begin_frame(struct buffer *out, uint8_t kind)
{
    struct writer w = {.out = out, .begin = out->size};
    uint8_t header[PEER_FRAME_HEADER_BYTES] = {[KIND_AT] = kind};
    add(&w, header, sizeof header);
    return w;
}

static int end_frame(struct writer *w)
{
    if (w->status != HF_OK) {
        w->out->size = w->begin;
        return w->status;
    }
    uint8_t *frame = w->out->data + w->begin;
    size_t bytes = w->out->size - w->begin;
    HF_ASSERT(bytes <= PEER_FRAME_BYTES_MAX);
    put_u32(frame, (uint32_t)bytes);
    put_u32(frame + 4, crc32c(0, frame + CHECKED_FROM, bytes - CHECKED_FROM));
    return HF_OK;
}

/* ------------------------------------------------------------------ reading */

/* What is left of a body; `bad` once anything did not fit. */
struct reader {
    struct slice rest;
    bool bad;
};

static const uint8_t *take(struct reader *r, size_t bytes)
{
    static const uint8_t zeros[PEER_CLUSTER_ID_BYTES];
    HF_ASSERT(bytes <= sizeof zeros);
    if (r->bad || r->rest.size < bytes) {
        r->bad = true;
        return zeros;
    }
    const uint8_t *at = r->rest.data;
    r->rest = slice_make(at + bytes, r->rest.size - bytes);
    return at;
}

static uint8_t take_u8(struct reader *r)
{
    return *take(r, 1);
}

static uint32_t take_u32(struct reader *r)
{
    return get_u32(take(r, 4));
}

static uint64_t take_u64(struct reader *r)
{
    return get_u64(take(r, 8));
}

static bool take_bool(struct reader *r)
{
    uint8_t value = take_u8(r);
    if (value > 1) r->bad = true;
    return value == 1;
}

static struct slice take_bytes(struct reader *r, size_t bytes)
{
    struct slice taken = {0};
    if (r->bad || r->rest.size < bytes) {
        r->bad = true;
        return taken;
    }
    taken = slice_make(r->rest.data, bytes);
    r->rest = slice_make(r->rest.data + bytes, r->rest.size - bytes);
    return taken;
}

static struct slice take_text(struct reader *r, size_t least)
{
    size_t bytes = take_u8(r);
    struct slice text = take_bytes(r, bytes);
    if (text.size < least) r->bad = true;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~') r->bad = true;
    }
    return text;
}

static int end_body(const struct reader *r)
{
    return r->bad || r->rest.size > 0 ? HF_EBADREQUEST : HF_OK;
}

/* ------------------------------------------------------------------ frames */

int peer_frame_next(struct slice bytes, size_t bytes_max, size_t *size)
{
    HF_ASSERT(bytes_max <= PEER_FRAME_BYTES_MAX);
    uint32_t length = 0;
    if (bytes.size >= 4) {
        length = get_u32(bytes.data);
        if (length < PEER_FRAME_HEADER_BYTES || length > bytes_max) return HF_EBADREQUEST;
    }
    *size = length <= bytes.size ? length : 0;
    return HF_OK;
}

int peer_frame_open(struct slice frame, uint8_t *kind, struct slice *body)
{
    HF_ASSERT(frame.size >= PEER_FRAME_HEADER_BYTES);
    HF_ASSERT(get_u32(frame.data) == frame.size);
    uint32_t check = crc32c(0, frame.data + CHECKED_FROM, frame.size - CHECKED_FROM);
    if (check != get_u32(frame.data + 4)) return HF_EBADREQUEST;
    const uint8_t *padding = frame.data + KIND_AT + 1;
    if (padding[0] != 0 || padding[1] != 0 || padding[2] != 0) return HF_EBADREQUEST;
    *kind = frame.data[KIND_AT];
    *body = slice_make(frame.data + PEER_FRAME_HEADER_BYTES, frame.size - PEER_FRAME_HEADER_BYTES);
    return HF_OK;
}

/* ------------------------------------------------------------------ introductions */

int peer_hello_write(struct buffer *out, const struct peer_hello *hello)
{
    HF_ASSERT(hello->from != 0 && hello->incarnation != 0 && hello->to != 0);
    HF_ASSERT(hello->client_address.size >= 1);
    struct writer w = begin_frame(out, PEER_FRAME_HELLO);
    add_u32(&w, PEER_FRAME_VERSION);
    add(&w, hello->cluster_id, PEER_CLUSTER_ID_BYTES);
    add_u64(&w, hello->from);
    add_u64(&w, hello->incarnation);
    add_u64(&w, hello->to);
    add_text(&w, hello->client_address);
    return end_frame(&w);
}

int peer_hello_read(struct slice body, struct peer_hello *hello)
{
    struct reader r = {.rest = body};
    struct peer_hello read = {0};
    if (take_u32(&r) != PEER_FRAME_VERSION) return r.bad ? HF_EBADREQUEST : HF_EVERSION;
    memcpy(read.cluster_id, take(&r, PEER_CLUSTER_ID_BYTES), PEER_CLUSTER_ID_BYTES);
    read.from = take_u64(&r);
    read.incarnation = take_u64(&r);
    read.to = take_u64(&r);
    read.client_address = take_text(&r, 1);
    if (read.from == 0 || read.incarnation == 0 || read.to == 0) r.bad = true;
    int rv = end_body(&r);
    if (rv == HF_OK) *hello = read;
    return rv;
}

int peer_answer_write(struct buffer *out, const struct peer_answer *answer)
{
    HF_ASSERT(answer->from != 0 && answer->incarnation != 0);
    HF_ASSERT(answer->client_address.size >= 1);
    HF_ASSERT(answer->refused == (answer->sentence.size > 0));
    struct writer w = begin_frame(out, PEER_FRAME_ANSWER);
    add_u32(&w, PEER_FRAME_VERSION);
    add_u8(&w, answer->refused);
    add_u64(&w, answer->from);
    add_u64(&w, answer->incarnation);
    add_text(&w, answer->client_address);
    add_text(&w, answer->sentence);
    return end_frame(&w);
}

int peer_answer_read(struct slice body, struct peer_answer *answer)
{
    struct reader r = {.rest = body};
    struct peer_answer read = {0};
    if (take_u32(&r) != PEER_FRAME_VERSION) return r.bad ? HF_EBADREQUEST : HF_EVERSION;
    read.refused = take_bool(&r);
    read.from = take_u64(&r);
    read.incarnation = take_u64(&r);
    read.client_address = take_text(&r, 1);
    read.sentence = take_text(&r, read.refused ? 1 : 0);
    if (!read.refused && read.sentence.size > 0) r.bad = true;
    if (read.from == 0 || read.incarnation == 0) r.bad = true;
    int rv = end_body(&r);
    if (rv == HF_OK) *answer = read;
    return rv;
}

/* ------------------------------------------------------------------ appends */

static uint32_t entries_that_fit(const struct message_append *a)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < a->count; i++) {
        bytes += a->entries[i].data.size;
        if (i > 0 && bytes > PEER_APPEND_BYTES_MAX) return i;
    }
    return a->count;
}

static void add_append(struct writer *w, const struct message_append *a)
{
    HF_ASSERT(a->count <= MESSAGE_ENTRIES_MAX);
    HF_ASSERT(a->count == 0 || a->entries != NULL);
    uint32_t count = entries_that_fit(a);
    add_u64(w, a->previous_index);
    add_u64(w, a->previous_term);
    add_u64(w, a->commit_index);
    add_u32(w, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct log_entry *entry = &a->entries[i];
        HF_ASSERT(entry->index == a->previous_index + 1 + i);
        uint8_t head[ENTRY_HEAD_BYTES] = {0};
        put_u64(head, entry->term);
        head[8] = entry->type;
        put_u32(head + 12, (uint32_t)entry->data.size);
        add(w, head, sizeof head);
        add(w, entry->data.data, entry->data.size);
    }
}

static void take_append(struct reader *r, struct log_entry *entries, struct message_append *a)
{
    a->previous_index = take_u64(r);
    a->previous_term = take_u64(r);
    a->commit_index = take_u64(r);
    a->count = take_u32(r);
    a->entries = a->count > 0 ? entries : NULL;
    if (a->count > MESSAGE_ENTRIES_MAX || a->count > r->rest.size / ENTRY_HEAD_BYTES ||
        a->previous_index > UINT64_MAX / 2) {
        r->bad = true;
    }
    for (uint32_t i = 0; !r->bad && i < a->count; i++) {
        const uint8_t *head = take(r, ENTRY_HEAD_BYTES);
        entries[i] = (struct log_entry){
            .index = a->previous_index + 1 + i,
            .term = get_u64(head),
            .type = head[8],
        };
        if (head[9] != 0 || head[10] != 0 || head[11] != 0) r->bad = true;
        entries[i].data = take_bytes(r, get_u32(head + 12));
        if (!log_type_is_known(entries[i].type) || entries[i].data.size > LOG_ENTRY_BYTES_MAX)
            r->bad = true;
    }
}

/* ------------------------------------------------------------------ messages */

int peer_message_write(struct buffer *out, const struct message *m)
{
    struct writer w = begin_frame(out, m->type);
    add_u64(&w, m->term);
    switch (m->type) {
    case MESSAGE_APPEND: add_append(&w, &m->append); break;
    case MESSAGE_APPEND_RESULT:
        add_u64(&w, m->append_result.rejected_index);
        add_u64(&w, m->append_result.last_index);
        add_u32(&w, (uint32_t)m->append_result.features << 16 | m->append_result.capacity);
        break;
    case MESSAGE_VOTE:
        add_u64(&w, m->vote.last_index);
        add_u64(&w, m->vote.last_term);
        add_u8(&w, m->vote.disrupt_leader);
        add_u8(&w, m->vote.pre_vote);
        break;
    case MESSAGE_VOTE_RESULT:
        add_u8(&w, m->vote_result.granted);
        add_u8(&w, m->vote_result.pre_vote);
        add_u32(&w, (uint32_t)m->vote_result.features << 16 | m->vote_result.capacity);
        break;
    case MESSAGE_TIMEOUT_NOW:
        add_u64(&w, m->timeout_now.last_index);
        add_u64(&w, m->timeout_now.last_term);
        break;
    case MESSAGE_PING:
        add_u64(&w, m->ping.nonce);
        add_u64(&w, m->ping.cluster_time_ms);
        add_u64(&w, m->ping.held_index);
        add_u64(&w, m->ping.digest_index);
        add_u64(&w, m->ping.digest.high);
        add_u64(&w, m->ping.digest.low);
        add_u8(&w, m->ping.digest_agreed);
        break;
    case MESSAGE_PONG:
        add_u64(&w, m->pong.nonce);
        add_u8(&w, m->pong.space_short);
        add_u64(&w, m->pong.digest_index);
        add_u8(&w, m->pong.digest);
        break;
    default: HF_UNREACHABLE();
    }
    return end_frame(&w);
}

static void take_ping(struct reader *r, struct message_ping *p)
{
    p->nonce = take_u64(r);
    p->cluster_time_ms = take_u64(r);
    p->held_index = take_u64(r);
    p->digest_index = take_u64(r);
    p->digest.high = take_u64(r);
    p->digest.low = take_u64(r);
    p->digest_agreed = take_bool(r);
}

static void take_pong(struct reader *r, struct message_pong *p)
{
    p->nonce = take_u64(r);
    p->space_short = take_bool(r);
    p->digest_index = take_u64(r);
    p->digest = take_u8(r);
    if (p->digest > DIGEST_OTHER) r->bad = true;
}

int peer_message_read(uint8_t kind, struct slice body, struct log_entry *entries, struct message *m)
{
    struct reader r = {.rest = body};
    struct message read = {.type = kind};
    read.term = take_u64(&r);
    uint32_t pair = 0;
    switch (kind) {
    case MESSAGE_APPEND: take_append(&r, entries, &read.append); break;
    case MESSAGE_APPEND_RESULT:
        read.append_result.rejected_index = take_u64(&r);
        read.append_result.last_index = take_u64(&r);
        pair = take_u32(&r);
        read.append_result.features = (uint16_t)(pair >> 16);
        read.append_result.capacity = (uint16_t)pair;
        break;
    case MESSAGE_VOTE:
        read.vote.last_index = take_u64(&r);
        read.vote.last_term = take_u64(&r);
        read.vote.disrupt_leader = take_bool(&r);
        read.vote.pre_vote = take_bool(&r);
        break;
    case MESSAGE_VOTE_RESULT:
        read.vote_result.granted = take_bool(&r);
        read.vote_result.pre_vote = take_bool(&r);
        pair = take_u32(&r);
        read.vote_result.features = (uint16_t)(pair >> 16);
        read.vote_result.capacity = (uint16_t)pair;
        break;
    case MESSAGE_TIMEOUT_NOW:
        read.timeout_now.last_index = take_u64(&r);
        read.timeout_now.last_term = take_u64(&r);
        break;
    case MESSAGE_PING: take_ping(&r, &read.ping); break;
    case MESSAGE_PONG: take_pong(&r, &read.pong); break;
    default: return HF_EBADREQUEST;
    }
    int rv = end_body(&r);
    if (rv == HF_OK) *m = read;
    return rv;
}

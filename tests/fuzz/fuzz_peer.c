/* Bytes of another server: whatever they are, no assertion, no fault, nothing left behind; and a
 * frame that is taken is, written again, the same bytes. The first byte says how the rest is met:
 * as an answer to an introduction or on an accepted link, introduced before or not, in reads of
 * which size, and whether the frames' checks are put right first (which no fuzzer would guess). */
#include "base/hash.h"
#include "base/log.h"
#include "raft/peers.h"
#include "tests/fuzz/fuzz.h"

enum { REPAIRED = 1, INTRODUCED = 2, ANSWER = 4, STEP_SHIFT = 3 }; /* bits of the first byte */
enum { SELF = 1, OTHER = 2, INCARNATION = 77, LINK_MS = 20000 };

static uint64_t now_ms = 1;
static uint64_t sum; /* of all that was received, so that each byte of it is read */

static int receive(void *data, const struct message *m)
{
    HF_ASSERT(m->peer == OTHER && m->address != NULL);
    for (uint32_t i = 0; m->type == MESSAGE_APPEND && i < m->append.count; i++) {
        const struct log_entry *entry = &m->append.entries[i];
        HF_ASSERT(entry->index == m->append.previous_index + 1 + i);
        sum += crc32c(0, entry->data.data, entry->data.size);
    }
    if (m->term % 16 == 1) return HF_EBADREQUEST;
    if (m->term % 16 == 2) return HF_ETOOBUSY;
    struct message pong = {.type = MESSAGE_PONG, .peer = OTHER, .term = 1};
    peers_send(*(struct peers **)data, &pong);
    return HF_OK;
}

static bool admit(void *data, uint64_t peer, uint64_t incarnation)
{
    (void)data;
    return peer != OTHER || incarnation != 1;
}

static struct peers *begin(void)
{
    static struct peers *p;
    if (p != NULL) return p;
    const struct configuration_server servers[] = {
        {SELF, "127.0.0.1:1", SERVER_VOTER},
        {OTHER, "127.0.0.1:2", SERVER_VOTER},
    };
    struct peers_config config = {
        .cluster_id = "a fuzzed cluster",
        .id = SELF,
        .incarnation = 9,
        .client_address = "127.0.0.1:7420",
        .ports = {receive, admit, &p},
    };
    log_set_level(LOG_ERROR); /* each refusal is a line */
    HF_ASSERT(peers_new(&config, &p) == HF_OK);
    peers_set_members(p, servers, 2, now_ms);
    return p;
}

/* ------------------------------------------------------------------ frames */

/* Put the checks of the frames right, up to one whose length is none. */
static void repair(uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (size - at >= PEER_FRAME_HEADER_BYTES) {
        uint32_t length = get_u32(bytes + at);
        if (length < PEER_FRAME_HEADER_BYTES || length > size - at) return;
        put_u32(bytes + at + 4, crc32c(0, bytes + at + 8, length - 8));
        at += length;
    }
}

static void check_hello(struct slice frame, struct slice body, struct buffer *again)
{
    struct peer_hello hello;
    if (peer_hello_read(body, &hello) != HF_OK) return;
    HF_ASSERT(peer_hello_write(again, &hello) == HF_OK);
    HF_ASSERT(slice_equal(frame, buffer_slice(again)));
}

static void check_answer(struct slice frame, struct slice body, struct buffer *again)
{
    struct peer_answer answer;
    if (peer_answer_read(body, &answer) != HF_OK) return;
    HF_ASSERT(peer_answer_write(again, &answer) == HF_OK);
    HF_ASSERT(slice_equal(frame, buffer_slice(again)));
}

static void check_message(struct slice frame, uint8_t kind, struct slice body, struct buffer *again)
{
    static struct log_entry entries[MESSAGE_ENTRIES_MAX];
    struct message m;
    if (peer_message_read(kind, body, entries, &m) != HF_OK) return;
    HF_ASSERT(peer_message_write(again, &m) == HF_OK);
    HF_ASSERT(slice_equal(frame, buffer_slice(again)));
}

/* What reads, writes back the same. */
static void check_frames(struct slice rest, struct buffer *again)
{
    size_t size = 0;
    while (peer_frame_next(rest, PEER_FRAME_BYTES_MAX, &size) == HF_OK && size > 0) {
        struct slice frame = slice_make(rest.data, size);
        struct slice body = {0};
        uint8_t kind = 0;
        rest = slice_make(rest.data + size, rest.size - size);
        buffer_clear(again);
        if (peer_frame_open(frame, &kind, &body) != HF_OK) continue;
        if (kind == PEER_FRAME_HELLO) {
            check_hello(frame, body, again);
        } else if (kind == PEER_FRAME_ANSWER) {
            check_answer(frame, body, again);
        } else {
            check_message(frame, kind, body, again);
        }
    }
}

/* ------------------------------------------------------------------ links */

static void introduce(struct peers *p, struct peer_in *in)
{
    struct buffer frame;
    struct peer_hello hello = {
        .cluster_id = "a fuzzed cluster",
        .from = OTHER,
        .incarnation = INCARNATION,
        .to = SELF,
        .client_address = slice_of("127.0.0.1:7421"),
    };
    buffer_init(&frame, PEER_FRAME_BYTES_FIRST);
    HF_ASSERT(peer_hello_write(&frame, &hello) == HF_OK);
    HF_ASSERT(peers_input(p, in, buffer_slice(&frame), now_ms) == HF_OK);
    HF_ASSERT(in->peer == OTHER && peers_is_heard(p, OTHER));
    buffer_close(&frame);
}

static void meet_accepted(struct peers *p, struct slice bytes, size_t step, bool introduced)
{
    struct peer_in in;
    HF_ASSERT(peers_accepted(p, &in, now_ms));
    if (introduced) introduce(p, &in);
    for (size_t at = 0; at < bytes.size; at += step) {
        size_t part = bytes.size - at < step ? bytes.size - at : step;
        HF_ASSERT(peers_input(p, &in, slice_make(bytes.data + at, part), now_ms) == HF_OK);
        HF_ASSERT(in.in.size <= bytes.size && in.out.size <= PEER_FRAME_BYTES_FIRST);
    }
    peers_tick(p, now_ms + LINK_MS); /* whatever it is in the middle of, it is given up */
    HF_ASSERT(in.broken || (in.peer == OTHER && in.in.size == 0));
    peers_closed(p, &in);
    HF_ASSERT(!peers_is_heard(p, OTHER) && peers_next_in(p) == NULL);
}

/* The link may be in the middle of an earlier attempt, which then ends first. */
static struct peer_out *dial(struct peers *p)
{
    for (int tries = 0; tries < 3; tries++) {
        struct peer_out *out = NULL;
        now_ms += LINK_MS;
        peers_tick(p, now_ms);
        while ((out = peers_next_out(p)) != NULL) {
            if (out->state == PEER_OUT_DIALLING) return out;
        }
    }
    HF_UNREACHABLE();
}

static void meet_answer(struct peers *p, struct slice bytes, size_t step)
{
    struct peer_out *out = dial(p);
    uint64_t epoch = out->epoch;
    peers_connected(p, out, epoch, now_ms);
    for (size_t at = 0; at < bytes.size; at += step) {
        size_t part = bytes.size - at < step ? bytes.size - at : step;
        peers_answered(p, out, epoch, slice_make(bytes.data + at, part), now_ms);
    }
    peers_disconnected(p, out, epoch, now_ms);
    HF_ASSERT(!peers_is_open(p, OTHER) && out->state == PEER_OUT_PAUSE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct peers *p = begin();
    if (size < 2) return 0;
    uint8_t how = data[0];
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    struct slice bytes = slice_make(copy, size - 1);
    size_t step = how >> STEP_SHIFT == 0 ? 1 : (size_t)(how >> STEP_SHIFT) * 32;
    if ((how & REPAIRED) != 0) repair(copy, bytes.size);
    check_frames(bytes, &fuzz_begin()->out);
    if ((how & ANSWER) != 0) {
        meet_answer(p, bytes, step);
    } else {
        meet_accepted(p, bytes, step, (how & INTRODUCED) != 0);
    }
    now_ms += 2 * LINK_MS;
    free(copy);
    return 0;
}

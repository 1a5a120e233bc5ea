/* Writes the seed corpora from valid messages: one plain and a few random ones of each type, op
 * and reply. A generator instead of committed files, so that a new message is in them at once.
 *
 *     make_corpus DIR     fills DIR/codec, DIR/request, DIR/reply, DIR/entry, DIR/door, DIR/peer
 *                         (which must exist) */
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "protocol/entry.h"
#include "protocol/frame.h"
#include "raft/peer_frame.h"
#include "tests/unit/protocol/sample.h"

enum { VARIANTS = 3, SEED_BYTES_MAX = 4096 };

struct corpus {
    const char *dir;     /* where to */
    struct prng prng;    /* fixed seed */
    struct arena arena;  /* samples */
    struct buffer bytes; /* one seed */
};

/* Large seeds only slow the fuzzer down: they are left out. */
static void write_seed(struct corpus *c, const char *target, unsigned number, unsigned variant)
{
    if (c->bytes.size > SEED_BYTES_MAX) return;
    char path[1024];
    int size = snprintf(path, sizeof path, "%s/%s/%03u-%u", c->dir, target, number, variant);
    HF_ASSERT(size > 0 && (size_t)size < sizeof path);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(c->bytes.data, 1, c->bytes.size, file) != c->bytes.size ||
        fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void must(int rv)
{
    HF_ASSERT(rv == HF_OK);
}

static void make(struct corpus *c, const struct codec_type *type, unsigned variant, void *out)
{
    if (variant == 0)
        sample_plain(type, &c->arena, out);
    else
        sample_random(&c->prng, type, &c->arena, out);
}

static void write_codec(struct corpus *c, unsigned variant)
{
    for (unsigned t = 0; sample_types[t] != NULL; t++) {
        union sample in;
        arena_reset(&c->arena);
        buffer_clear(&c->bytes);
        make(c, sample_types[t], variant, &in);
        uint8_t pick = (uint8_t)t;
        must(buffer_append(&c->bytes, &pick, 1));
        must(codec_encode(sample_types[t], &in, &c->bytes));
        write_seed(c, "codec", t, variant);
    }
}

/* For the door: HELLO was said, the bytes come in one read, and speak for session 1. */
static void write_door_seed(struct corpus *c, const struct op_info *info, unsigned variant,
                            const void *request)
{
    const uint8_t how = 0xff;
    struct client_envelope envelope = {.renews = 0};
    if ((info->traits & OP_SESSION) != 0) envelope.session = 1;
    if ((info->traits & OP_NUMBERED) != 0) envelope.seq = 1 + variant + 10U * info->code;
    buffer_clear(&c->bytes);
    must(buffer_append(&c->bytes, &how, 1));
    must(frame_write_request(&c->bytes, info->code, 1, &envelope, request));
    write_seed(c, "door", info->code, variant);
}

static void write_requests(struct corpus *c, unsigned variant)
{
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        struct client_envelope envelope;
        union sample request;
        arena_reset(&c->arena);
        buffer_clear(&c->bytes);
        make(c, &client_envelope_type, variant, &envelope);
        make(c, info->request, variant, &request);
        must(frame_write_request(&c->bytes, code, 1, &envelope, &request));
        write_seed(c, "request", code, variant);
        write_door_seed(c, info, variant, &request);
    }
}

static void write_reply(struct corpus *c, uint16_t code, int status, unsigned number)
{
    union sample answer;
    struct buffer body;
    arena_reset(&c->arena);
    buffer_clear(&c->bytes);
    buffer_init(&body, FRAME_BYTES_MAX);
    const struct codec_type *type = op_reply_type(code, status);
    sample_plain(type, &c->arena, &answer);
    must(codec_encode(type, &answer, &body));
    struct reply_frame reply = {.status = status, .request_id = 1, .body = buffer_slice(&body)};
    uint8_t op[2];
    put_u16(op, code);
    must(buffer_append(&c->bytes, op, sizeof op));
    must(frame_write_reply(&c->bytes, &reply));
    write_seed(c, "reply", number, 0);
    buffer_close(&body);
}

static void write_replies(struct corpus *c)
{
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        if (op_find(code) != NULL) write_reply(c, code, HF_OK, code);
    }
    for (int status = -999; status < 0; status++) { /* each detail once: an op that has it */
        if (op_reply_type(OP_CODE_EXTEND, status) == &msg_empty_type) continue;
        write_reply(c, OP_CODE_EXTEND, status, 200 + (unsigned)-status);
    }
}

/* Entries of 0, 1, 2, ... ops. */
static void write_entries(struct corpus *c, unsigned variant)
{
    struct buffer body;
    buffer_init(&body, FRAME_BYTES_MAX);
    buffer_clear(&c->bytes);
    must(entry_begin(&c->bytes));
    for (uint16_t code = 0; code <= OP_CODE_MAX; code++) {
        const struct op_info *info = op_find(code);
        if (info == NULL) continue;
        struct envelope envelope;
        union sample request;
        arena_reset(&c->arena);
        buffer_clear(&body);
        make(c, &envelope_type, variant, &envelope);
        sample_plain(info->request, &c->arena, &request);
        must(codec_encode(info->request, &request, &body));
        write_seed(c, "entry", code, variant);
        must(entry_add(&c->bytes, code, &envelope, buffer_slice(&body)));
        entry_close(&c->bytes, 0, 1000, 2000);
    }
    write_seed(c, "entry", OP_CODE_MAX + 1, variant);
    buffer_close(&body);
}

/* ------------------------------------------------------------------ servers to each other */

/* For one way in which fuzz_peer meets bytes; its first byte says which. */
static void begin_peer_seed(struct corpus *c, uint8_t how)
{
    buffer_clear(&c->bytes);
    must(buffer_append(&c->bytes, &how, 1));
}

static void write_peer_introductions(struct corpus *c)
{
    const struct peer_hello hello = {
        .cluster_id = "a fuzzed cluster",
        .from = 2,
        .incarnation = 77,
        .to = 1,
        .client_address = slice_of("127.0.0.1:7421"),
    };
    struct peer_answer answer = {
        .from = 2,
        .incarnation = 77,
        .client_address = slice_of("127.0.0.1:7421"),
    };
    begin_peer_seed(c, 0xf8 | 1);
    must(peer_hello_write(&c->bytes, &hello));
    write_seed(c, "peer", 0, 0);
    must(peer_hello_write(&c->bytes, &hello)); /* twice is against the rules */
    write_seed(c, "peer", 0, 1);
    begin_peer_seed(c, 0xf8 | 5);
    must(peer_answer_write(&c->bytes, &answer));
    write_seed(c, "peer", 1, 0);
    answer.refused = true;
    answer.sentence = slice_of("server 1 is no member");
    begin_peer_seed(c, 0xf8 | 5);
    must(peer_answer_write(&c->bytes, &answer));
    write_seed(c, "peer", 1, 1);
}

static void write_peer_messages(struct corpus *c)
{
    static const struct log_entry two[] = {
        {.index = 8, .term = 3, .type = LOG_BARRIER, .data = {(const uint8_t *)"12345678", 8}},
        {.index = 9, .term = 4, .type = LOG_COMMAND, .data = {(const uint8_t *)"x", 1}},
    };
    const struct message messages[] = {
        {.type = MESSAGE_APPEND, .append = {7, 3, 6, 0, NULL}},
        {.type = MESSAGE_APPEND, .append = {7, 3, 6, 2, two}},
        {.type = MESSAGE_APPEND_RESULT, .append_result = {1, 2, 3, 4}},
        {.type = MESSAGE_VOTE, .vote = {9, 4, true, false}},
        {.type = MESSAGE_VOTE_RESULT, .vote_result = {true, true, 3, 4}},
        {.type = MESSAGE_TIMEOUT_NOW, .timeout_now = {9, 4}},
        {.type = MESSAGE_PING, .ping = {11, 12, 13, 14, {15, 16}, true}},
        {.type = MESSAGE_PONG, .pong = {11, true, 14, DIGEST_SAME}},
    };
    for (unsigned i = 0; i < HF_ARRAY_COUNT(messages); i++) {
        struct message m = messages[i];
        m.term = 5;
        begin_peer_seed(c, i % 2 == 0 ? 0xf8 | 3 : 3); /* in one read, or byte by byte */
        must(peer_message_write(&c->bytes, &m));
        write_seed(c, "peer", 10 + i, 0);
        must(peer_message_write(&c->bytes, &m));
        write_seed(c, "peer", 10 + i, 1);
    }
}

/* A file of a history a model; the first byte says which (fuzz_history.c). */
static void write_histories(struct corpus *c)
{
#define SEED_LINE(id, rest) \
    "{\"v\":2,\"id\":" id ",\"client\":\"a\",\"key\":\"k\",\"call\":5,\"ret\":9," rest "}\n"
    static const char *const files[] = {
        "0" SEED_LINE("1",
                      "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"owner\":\"o\",\"mode\":"
                      "\"shared\",\"reentrant\":1},\"outcome\":\"ok\",\"result\":{\"token\":"
                      "1,\"count\":1}") "{\"v\":2,\"id\":2,\"client\":\"a\",\"key\":\"k\","
                                        "\"call\":7,\"outcome\":\"unknown\",\"op\":\"release\","
                                        "\"args\":{\"token\":1,\"all\":1}}\n",
        "0" SEED_LINE(
            "1", "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5,\"mode\":\"permits\",\"permits\":2,"
                 "\"limit\":3,\"names\":[\"k\",\"l\"]},\"outcome\":\"ok\",\"result\":{\"token\":1}")
            SEED_LINE("2",
                      "\"op\":\"acquire\",\"args\":{\"ttl_ms\":5},\"outcome\":\"fail\",\"error\":"
                      "\"deadlock\",\"result\":{\"cycle\":[\"a\",\"b\"],\"cut\":1}")
                SEED_LINE(
                    "3", "\"op\":\"upgrade\",\"args\":{\"token\":1},\"outcome\":\"fail\",\"error\":"
                         "\"busy\"")
                    SEED_LINE("4",
                              "\"op\":\"downgrade\",\"args\":{\"token\":1},\"outcome\":\"ok\""),
        "1" SEED_LINE("1",
                      "\"op\":\"reopen\",\"args\":{\"token\":1,\"outcome\":\"failed\"},\"outcome\":"
                      "\"ok\""),
        "1" SEED_LINE("1",
                      "\"op\":\"begin\",\"args\":{\"ttl_ms\":5,\"fingerprint\":\"f\",\"takeover\""
                      ":\"never\",\"retain_ms\":9},\"outcome\":\"ok\",\"result\":{\"status\":"
                      "\"started\",\"token\":1,\"attempt\":1}"),
        "2" SEED_LINE("1", "\"op\":\"read\",\"outcome\":\"ok\",\"result\":{\"value\":null}"),
    };
#undef SEED_LINE
    for (unsigned i = 0; i < HF_ARRAY_COUNT(files); i++) {
        buffer_clear(&c->bytes);
        must(buffer_append(&c->bytes, files[i], strlen(files[i])));
        write_seed(c, "history", i, 0);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus DIR\n");
        return 64;
    }
    struct corpus c = {.dir = argv[1]};
    prng_seed(&c.prng, 1);
    must(arena_init(&c.arena, SAMPLE_ARENA_BYTES));
    buffer_init(&c.bytes, SAMPLE_BYTES_MAX);
    for (unsigned variant = 0; variant < VARIANTS; variant++) {
        write_codec(&c, variant);
        write_requests(&c, variant);
        write_entries(&c, variant);
    }
    write_replies(&c);
    write_peer_introductions(&c);
    write_peer_messages(&c);
    write_histories(&c);
    arena_close(&c.arena);
    buffer_close(&c.bytes);
    return 0;
}

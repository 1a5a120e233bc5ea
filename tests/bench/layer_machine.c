/* What the machine does with an op of each kind: entries of GROUP ops over the store on disk, the
 * replies read back for their tokens. One is a cycle: what begins and what ends it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/status.h"
#include "machine/machine.h"
#include "protocol/ops.h"
#include "tests/bench/layers.h"
#include "tests/bench/scratch.h"

enum { GROUP = 32, NAME_BYTES = 32, TTL_MS = 60000, RESULT_BYTES = 200, ARENA_BYTES = 64 * 1024 };

struct rig {
    struct scratch scratch;
    struct machine *machine;
    struct arena arena;     /* of decoded replies */
    struct buffer entry;    /* being built */
    struct buffer body;     /* of the op that is added */
    uint64_t now_ms;        /* cluster time: one more each entry */
    uint64_t session;       /* opened at the start */
    uint64_t seq;           /* of the last op */
    uint64_t acknowledged;  /* of the last entry */
    unsigned named;         /* names used so far */
    uint16_t op;            /* of all that is in the entry */
    uint64_t tokens[GROUP]; /* told by the last entry, by position */
    char names[GROUP][NAME_BYTES];
};

static uint64_t token_in(struct rig *r, const struct machine_reply *reply)
{
    union {
        struct msg_open_reply open;
        struct msg_granted granted;
        struct msg_begin_reply begin;
    } answer;
    if (r->op != OP_CODE_OPEN && r->op != OP_CODE_ACQUIRE && r->op != OP_CODE_BEGIN) return 0;
    arena_reset(&r->arena);
    HF_ASSERT(codec_decode(op_reply_type(r->op, HF_OK), reply->body, &r->arena, &answer) == HF_OK);
    if (r->op == OP_CODE_OPEN) return answer.open.session;
    return r->op == OP_CODE_ACQUIRE ? answer.granted.fencing_token : answer.begin.fencing_token;
}

static void take_reply(uint32_t position, const struct machine_reply *reply, void *data)
{
    struct rig *r = data;
    HF_ASSERT(reply->status == HF_OK && position < GROUP);
    r->tokens[position] = token_in(r, reply);
}

static void add(struct rig *r, uint16_t op, const void *request)
{
    const struct envelope envelope = {
        .session = r->session,
        .seq = r->session != 0 && op != OP_CODE_KEEP ? ++r->seq : 0,
        .ack = r->acknowledged,
        .renews = r->session != 0,
        .principal = slice_of("anonymous"),
        .peer = slice_of("127.0.0.1:40000"),
    };
    r->op = op;
    if (r->entry.size == 0) HF_ASSERT(entry_begin(&r->entry) == HF_OK);
    buffer_clear(&r->body);
    HF_ASSERT(codec_encode(op_find(op)->request, request, &r->body) == HF_OK);
    HF_ASSERT(entry_add(&r->entry, op, &envelope, buffer_slice(&r->body)) == HF_OK);
}

static void apply(struct rig *r)
{
    const struct machine_sink sink = {.reply_cb = take_reply, .data = r};
    r->now_ms++;
    entry_close(&r->entry, 0, r->now_ms, r->now_ms);
    HF_ASSERT(machine_apply(r->machine, buffer_slice(&r->entry), &sink) == HF_OK);
    buffer_clear(&r->entry);
    r->acknowledged = r->seq;
}

static void *make(void)
{
    static const uint8_t secret[SESSION_SECRET_BYTES] = "a secret of ours";
    struct rig *r = calloc(1, sizeof *r);
    HF_ASSERT(r != NULL);
    scratch_open(&r->scratch);
    HF_ASSERT(machine_open(r->scratch.store, &r->machine) == HF_OK);
    HF_ASSERT(arena_init(&r->arena, ARENA_BYTES) == HF_OK);
    buffer_init(&r->entry, ENTRY_BYTES_MAX);
    buffer_init(&r->body, FRAME_BYTES_MAX);
    r->now_ms = 1000000;
    const struct msg_open open = {
        .secret = slice_make(secret, sizeof secret), .ttl_ms = TTL_MS, .name = slice_of("bench")};
    add(r, OP_CODE_OPEN, &open);
    apply(r);
    r->session = r->tokens[0];
    return r;
}

static void take_down(void *state)
{
    struct rig *r = state;
    machine_close(r->machine);
    scratch_close(&r->scratch);
    arena_close(&r->arena);
    buffer_close(&r->entry);
    buffer_close(&r->body);
    free(r);
}

/* A name that was not used before. */
static struct slice name_at(struct rig *r, unsigned at)
{
    int bytes = snprintf(r->names[at], NAME_BYTES, "accounts/%010u", r->named++ * 2654435761U);
    return slice_make(r->names[at], (size_t)bytes);
}

static struct slice same_name(const struct rig *r, unsigned at)
{
    return slice_of(r->names[at]);
}

static void lock_cycles(void *state, unsigned count)
{
    struct rig *r = state;
    for (unsigned done = 0; done < count; done += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            const struct slice name = name_at(r, i);
            const struct msg_acquire acquire = {.names = {&name, 1}, .owner = i + 1};
            add(r, OP_CODE_ACQUIRE, &acquire);
        }
        apply(r);
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_release release = {
                .name = same_name(r, i), .fencing_token = r->tokens[i], .owner = i + 1};
            add(r, OP_CODE_RELEASE, &release);
        }
        apply(r);
    }
}

static void record_cycles(void *state, unsigned count)
{
    static const uint8_t fingerprint[FINGERPRINT_BYTES] = "of what was asked";
    static const uint8_t result[RESULT_BYTES] = "charged";
    struct rig *r = state;
    for (unsigned done = 0; done < count; done += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_begin begin = {
                .key = name_at(r, i),
                .fingerprint = slice_make(fingerprint, sizeof fingerprint),
                .lease_ms = TTL_MS,
                .retain_ms = RETAIN_MS_MIN,
            };
            add(r, OP_CODE_BEGIN, &begin);
        }
        apply(r);
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_complete complete = {
                .key = same_name(r, i),
                .fencing_token = r->tokens[i],
                .outcome = OUTCOME_DONE,
                .code = 200,
                .body = slice_make(result, sizeof result),
            };
            add(r, OP_CODE_COMPLETE, &complete);
        }
        apply(r);
    }
}

static void timer_cycles(void *state, unsigned count)
{
    struct rig *r = state;
    for (unsigned done = 0; done < count; done += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_timer_set set = {.key = name_at(r, i),
                                              .group = slice_of("orders"),
                                              .delay_ms = TTL_MS,
                                              .attempts_max = 3};
            add(r, OP_CODE_TIMER_SET, &set);
        }
        apply(r);
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_timer_cancel cancel = {.key = same_name(r, i)};
            add(r, OP_CODE_TIMER_CANCEL, &cancel);
        }
        apply(r);
    }
}

static void keeps(void *state, unsigned count)
{
    struct rig *r = state;
    for (unsigned done = 0; done < count; done += GROUP) {
        for (unsigned i = 0; i < GROUP; i++) {
            const struct msg_keep keep = {0};
            add(r, OP_CODE_KEEP, &keep);
        }
        apply(r);
    }
}

const struct layer layers_machine[] = {
    {"machine.lock-cycle", make, lock_cycles, take_down},
    {"machine.record-cycle", make, record_cycles, take_down},
    {"machine.timer-cycle", make, timer_cycles, take_down},
    {"machine.keep", make, keeps, take_down},
    {0},
};

/* See the header. */
#include "tests/sim/history_txn.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "machine/rows.h"
#include "protocol/messages.h"
#include "tests/sim/failure.h"
#include "tests/sim/history.h"

const char *history_txn_event_name(enum history_txn_event event)
{
    static const char *const names[HISTORY_TXN_EVENTS] = {"done", "refused", "unwanted", "accepted",
                                                          "evidence"};
    HF_ASSERT(event < HISTORY_TXN_EVENTS);
    return names[event];
}

/* A TXN, out of the arena that every decoding empties. */
struct told {
    struct txn_op ops[TXN_OPS_MAX];
    uint64_t accepted[TXN_OPS_MAX][TXN_ANSWERS_MAX];
    uint32_t count;
};

static void read_request(struct history *h, struct slice request, struct told *told)
{
    struct msg_txn txn;
    history_decode(h, &msg_txn_type, request, &txn);
    told->count = txn.ops.count;
    memcpy(told->ops, txn.ops.items, told->count * sizeof told->ops[0]);
    for (uint32_t i = 0; i < told->count; i++) {
        struct codec_u64s *answers = &told->ops[i].answers;
        for (uint32_t k = 0; k < answers->count; k++) told->accepted[i][k] = answers->items[k];
        answers->items = told->accepted[i];
    }
}

static uint64_t verdict_of(struct history *h, uint64_t op, struct slice body)
{
    struct msg_begin_reply begun;
    struct msg_timer_set_reply set;
    struct msg_release_reply release;
    switch (op) {
    case OP_CODE_BEGIN:
        history_decode(h, &msg_begin_reply_type, body, &begun);
        return begun.verdict;
    case OP_CODE_TIMER_SET:
        history_decode(h, &msg_timer_set_reply_type, body, &set);
        return set.verdict;
    case OP_CODE_RELEASE:
        history_decode(h, &msg_release_reply_type, body, &release);
        return release.count_left > 0;
    default: return 0;
    }
}

static bool is_accepted(struct history *h, const struct txn_op *op, int status, struct slice body)
{
    if (status == HF_OK) return (op->verdicts >> verdict_of(h, op->op, body) & 1) != 0;
    for (uint32_t i = 0; i < op->answers.count; i++) {
        if (op->answers.items[i] == (uint64_t)-status) return true;
    }
    return false;
}

/* As if the op had come alone. */
static void judge(struct history *h, const struct history_answer *a, const struct txn_op *op,
                  int status, struct slice body)
{
    struct history_answer part = {.session = a->session,
                                  .seq = a->seq,
                                  .op = (uint16_t)op->op,
                                  .status = (int16_t)status,
                                  .answered = true};
    const struct machine_reply reply = {.status = status, .body = body};
    history_answered(h, &part, op->body, &reply);
}

/* ------------------------------------------------------------------ evidence */

/* Is this completion told of in its record's row? Unless it has room for no more, or is gone. */
static bool is_evident(struct history *h, const struct msg_complete *complete)
{
    struct slice value;
    struct row_record row;
    int rv = store_get(h->store, TABLE_RECORDS, complete->key, &value);
    if (rv == HF_ENOTFOUND) return true;
    HF_ASSERT(rv == HF_OK);
    history_decode(h, &row_record_type, value, &row);
    const struct late_item *late = row.late.items;
    for (uint32_t i = 0; i < row.late.count; i++) {
        if (late[i].fencing_token == complete->fencing_token) return true;
    }
    return row.late.count == RECORD_LATE_MAX;
}

static bool look_at_evidence(struct history *h, const struct told *told)
{
    bool any = false;
    for (uint32_t i = 0; i < told->count; i++) {
        struct msg_complete complete;
        if (told->ops[i].op != OP_CODE_COMPLETE) continue;
        history_decode(h, &msg_complete_type, told->ops[i].body, &complete);
        uint32_t key = history_thing(complete.key);
        uint64_t current = h->records[key].token;
        if (complete.fencing_token >= current) continue;
        const struct history_token *what = history_token(h, complete.fencing_token);
        if (what != NULL && what->attempt && what->thing == key)
            history_events_owe_ever(h, EVENT_LATE_COMPLETION, complete.fencing_token);
        if (!is_evident(h, &complete))
            sim_fail("record-%u: a TXN completed it under %" PRIu64 ", too late, for %" PRIu64
                     " is the attempt, and nothing tells of it",
                     key, complete.fencing_token, current);
        any = true;
    }
    return any;
}

/* ------------------------------------------------------------------ done, or not */

static bool takes(const struct txn_op *op)
{
    return op->op == OP_CODE_BEGIN || op->op == OP_CODE_TIMER_SET;
}

/* What takes comes before what frees: so it meets the state before. */
static void done(struct history *h, const struct history_answer *a, const struct told *told,
                 const struct machine_reply *reply)
{
    struct msg_txn_reply all;
    struct txn_result results[TXN_OPS_MAX];
    bool refusals = false;
    history_decode(h, &msg_txn_reply_type, reply->body, &all);
    if (all.results.count != told->count)
        sim_fail("a TXN of %u ops is told %u results", told->count, all.results.count);
    memcpy(results, all.results.items, told->count * sizeof results[0]);
    for (uint32_t i = 0; i < told->count; i++) {
        if (results[i].op != told->ops[i].op ||
            !is_accepted(h, &told->ops[i], results[i].status, results[i].body))
            sim_fail("a TXN is done, and its op %u was answered %s, which it does not accept", i,
                     status_name(results[i].status));
        refusals = refusals || results[i].status != HF_OK;
    }
    (void)look_at_evidence(h, told);
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < told->count; i++) {
            if (takes(&told->ops[i]) == (turn == 0))
                judge(h, a, &told->ops[i], results[i].status, results[i].body);
        }
    }
    h->txn_counts[TXN_EVENT_DONE]++;
    if (refusals) h->txn_counts[TXN_EVENT_ACCEPTED]++;
}

/* What a cap refuses, beside what the TXN itself had taken by then, is not known here. */
static void refused(struct history *h, const struct history_answer *a, const struct told *told,
                    const struct machine_reply *reply)
{
    struct msg_txn_refused it;
    history_decode(h, &msg_txn_refused_type, reply->body, &it);
    if (it.index >= told->count || told->ops[it.index].op != it.op)
        sim_fail("a TXN is told that its op %" PRIu64 " was refused, and has none", it.index);
    const struct txn_op *op = &told->ops[it.index];
    if (is_accepted(h, op, it.status, it.body))
        sim_fail("a TXN is refused for its op %" PRIu64 ", answered %s, which it accepts", it.index,
                 status_name(it.status));
    if (it.status != HF_OK && it.status != HF_EQUOTA) judge(h, a, op, it.status, it.body);
    h->txn_counts[it.status == HF_OK ? TXN_EVENT_UNWANTED : TXN_EVENT_REFUSED]++;
    if (look_at_evidence(h, told)) h->txn_counts[TXN_EVENT_EVIDENCE]++;
}

void history_txn_answered(struct history *h, const struct history_answer *a, struct slice request,
                          const struct machine_reply *reply)
{
    struct told told;
    if (a->op != OP_CODE_TXN) return;
    if (reply->status != HF_OK && reply->status != HF_ENOTACCEPTED) return; /* its session */
    read_request(h, request, &told);
    if (reply->status == HF_OK) {
        done(h, a, &told, reply);
    } else {
        refused(h, a, &told, reply);
    }
}

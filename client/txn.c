/* Transactions: operations are encoded as they are added, and run as one numbered request. What its
 * answer brought is taken under the lock when the caller is told: views, and for each attempt that
 * was begun a slot and a record's handle. Failure mode: an answer that nobody takes; the core gives
 * its attempts back (core_txn.c). docs/contract.md, section 8. */
#include "client/include/holdfast_txn.h"

#include <stdlib.h>

#include "client/lock.h"
#include "client/record.h"
#include "client/timer.h"

/* An operation of it. */
struct part {
    struct txn_op op;                  /* its lists and bytes are below */
    struct buffer body;                /* owned: the encoded request */
    uint64_t answers[TXN_ANSWERS_MAX]; /* that it accepts */
    hf_lock *lock;                     /* RELEASE: on which the grant was acquired */
    hf_grant grant;                    /* likewise */
    bool answered;                     /* `answer` is written */
    bool lost;                         /* BEGIN: an attempt that is of no use any more */
    hf_txn_answer answer;              /* for hf_txn_look() */
    hf_record *record;                 /* owned until it is taken; or NULL */
};

struct hf_txn {
    hf_client *client;              /* whose */
    struct part parts[TXN_OPS_MAX]; /* in use as far as `count` */
    uint32_t count;                 /* of them */
    bool ran;                       /* it was submitted */
    int refused;                    /* index; -1 = none */
};

int hf_txn_new(hf_client *client, hf_txn **txn)
{
    if (client == NULL || txn == NULL) return HF_EINVAL;
    if (client->fork_count != shell_fork_count()) return HF_ECLOSED;
    hf_txn *t = calloc(1, sizeof *t);
    if (t == NULL) return HF_ENOMEM;
    t->client = client;
    t->refused = -1;
    for (uint32_t i = 0; i < TXN_OPS_MAX; i++)
        buffer_init(&t->parts[i].body, TXN_REQUEST_BYTES_MAX);
    *txn = t;
    return HF_OK;
}

/* What is under way goes on without it. With the lock held. */
static void leave_calls(hf_txn *txn)
{
    LIST_FOR(item, &txn->client->core.active)
    {
        struct call *call = HF_CONTAINER_OF(item, struct call, link);
        if (call->handle == txn) call->handle = NULL;
    }
}

void hf_txn_free(hf_txn *txn)
{
    if (txn == NULL) return;
    if (txn->ran && shell_enter(txn->client) == HF_OK) {
        leave_calls(txn);
        shell_leave(txn->client);
    }
    for (uint32_t i = 0; i < TXN_OPS_MAX; i++) {
        hf_record_free(txn->parts[i].record);
        buffer_close(&txn->parts[i].body);
    }
    free(txn);
}

/* ------------------------------------------------------------------ operations */

static int set_accepted(struct part *part, const hf_accept *accept, unsigned usual)
{
    static const hf_accept none;
    hf_accept plain = none;
    plain.verdicts = usual;
    if (accept == NULL) accept = &plain;
    if (accept->answer_count > TXN_ANSWERS_MAX) return HF_EINVAL;
    if (accept->answers == NULL && accept->answer_count > 0) return HF_EINVAL;
    uint32_t count = 0;
    for (size_t i = 0; i < accept->answer_count; i++) { /* sorted, each once */
        if (accept->answers[i] >= 0 || accept->answers[i] < -999) return HF_EINVAL;
        uint64_t number = (uint64_t)-accept->answers[i];
        uint32_t at = count;
        while (at > 0 && part->answers[at - 1] > number) at -= 1;
        if (at > 0 && part->answers[at - 1] == number) continue;
        memmove(&part->answers[at + 1], &part->answers[at], (count - at) * sizeof number);
        part->answers[at] = number;
        count += 1;
    }
    part->op.answers = (struct codec_u64s){part->answers, count};
    part->op.verdicts = accept->verdicts;
    return HF_OK;
}

/* Is it one that a server would take, alone? */
static int check_part(struct part *part)
{
    const char *sentence;
    const struct msg_txn alone = {.ops = {&part->op, 1}};
    int rv = codec_check(&msg_txn_type, &alone);
    if (rv == HF_OK) rv = op_check(OP_CODE_TXN, &alone, &sentence);
    return rv == HF_OK || rv == HF_ETOOLARGE ? rv : HF_EINVAL;
}

/* \param part Out, may be NULL: the new one. */
static int add(hf_txn *txn, uint16_t op, const void *request, const hf_accept *accept,
               unsigned usual, struct part **out)
{
    if (txn->ran) return HF_EBADSTATE;
    if (txn->count == TXN_OPS_MAX) return HF_ETOOLARGE;
    struct part *part = &txn->parts[txn->count];
    const struct codec_type *type = op_find(op)->request;
    int rv = codec_check(type, request);
    if (rv != HF_OK) return rv == HF_ETOOLARGE ? rv : HF_EINVAL;
    buffer_clear(&part->body);
    rv = codec_encode(type, request, &part->body);
    if (rv != HF_OK) return rv;
    part->op.op = op;
    part->op.body = buffer_slice(&part->body);
    rv = set_accepted(part, accept, usual);
    if (rv == HF_OK) rv = check_part(part);
    if (rv != HF_OK) return rv;
    txn->count += 1;
    if (out != NULL) *out = part;
    return HF_OK;
}

int hf_txn_release(hf_txn *txn, hf_lock *lock, const hf_grant *grant, const hf_accept *accept)
{
    struct slot *s;
    struct part *part;
    if (txn == NULL || lock == NULL || grant == NULL || grant->client != txn->client)
        return HF_EINVAL;
    int rv = shell_enter(txn->client);
    if (rv != HF_OK) return rv;
    struct msg_release release = {0};
    rv = lock_find_grant(lock, grant, &s);
    if (rv == HF_OK) release = (struct msg_release){.fencing_token = s->token, .owner = s->owner};
    shell_leave(txn->client);
    if (rv != HF_OK) return rv;
    rv = add(txn, OP_CODE_RELEASE, &release, accept, 1U << RELEASE_FREED, &part);
    if (rv != HF_OK) return rv;
    part->lock = lock;
    part->grant = *grant;
    return HF_OK;
}

int hf_txn_complete(hf_txn *txn, const hf_record *record, int outcome, const hf_result *result,
                    const hf_accept *accept)
{
    struct msg_complete complete;
    if (txn == NULL) return HF_EINVAL;
    int rv = record_end(record, outcome, result, &complete);
    return rv == HF_OK ? add(txn, OP_CODE_COMPLETE, &complete, accept, 1, NULL) : rv;
}

int hf_txn_begin(hf_txn *txn, const char *key, const hf_begin *how, const hf_accept *accept)
{
    struct msg_begin begin;
    if (txn == NULL || key == NULL || how == NULL) return HF_EINVAL;
    int rv = record_ask(txn->client, key, how, &begin);
    return rv == HF_OK ? add(txn, OP_CODE_BEGIN, &begin, accept, 1U << BEGIN_STARTED, NULL) : rv;
}

int hf_txn_timer_set(hf_txn *txn, const char *key, const hf_timer *timer, const hf_accept *accept)
{
    enum { USUAL = 1 << TIMER_SCHEDULED | 1 << TIMER_REPLACED | 1 << TIMER_SAME };
    struct msg_timer_set set;
    if (txn == NULL) return HF_EINVAL;
    int rv = timer_ask(key, timer, &set);
    return rv == HF_OK ? add(txn, OP_CODE_TIMER_SET, &set, accept, USUAL, NULL) : rv;
}

int hf_txn_timer_cancel(hf_txn *txn, const char *key, const hf_accept *accept)
{
    if (txn == NULL || key == NULL) return HF_EINVAL;
    const struct msg_timer_cancel cancel = {slice_of(key)};
    return add(txn, OP_CODE_TIMER_CANCEL, &cancel, accept, 1, NULL);
}

/* ------------------------------------------------------------------ its answer */

/* A slot for an attempt that was begun; generation 0 = it is of no use any more, and goes back. */
static struct grant_ref take_attempt(hf_client *client, const struct call *call,
                                     const struct part *part, uint64_t token)
{
    struct core *core = &client->core;
    uint64_t now_ns = shell_now(client);
    struct msg_begin begin;
    int rv = codec_decode(&msg_begin_type, part->op.body, NULL, &begin);
    HF_ASSERT(rv == HF_OK); /* our own encoding */
    bool bound = begin.lease_ms == 0;
    bool gone = (call->flags & REPLY_REPEATED) != 0 && (call->flags & REPLY_STANDS) == 0;
    bool live = core->session.phase == SESSION_LIVE && call->session == core->session.id;
    if ((bound && !live) || core_session_is_dead(core, token) || core_is_abandoned(core, token))
        return (struct grant_ref){0}; /* the session's end has ended it, or goes back already */
    if (gone) {
        core_abandon(core, token, now_ns);
        return (struct grant_ref){0};
    }
    struct slot *s = core_attempt(core, &begin, token, call->first_send_ns, now_ns);
    if (s == NULL) return (struct grant_ref){0};
    s->unproven = bound && core->session.deadline_ns <= now_ns;
    if (s->unproven) core_keep_at(core, now_ns);
    core_refresh(core, s);
    return grants_ref(s);
}

static int take_begun(struct call *call, hf_client *client, struct part *part, struct slice body)
{
    struct msg_begin_reply begun;
    struct grant_ref grant = {0};
    struct buffer copy;
    int rv = codec_decode(&msg_begin_reply_type, body, NULL, &begun);
    HF_ASSERT(rv == HF_OK); /* the core has decoded it before */
    part->answer.verdict = (int)begun.verdict;
    part->answer.partial = begun.referent == REFERENT_GONE;
    if (begun.verdict != BEGIN_REPLAY) {
        grant = take_attempt(client, call, part, begun.fencing_token);
        part->lost = grant.generation == 0;
        if (part->lost) return HF_OK;
    }
    buffer_init(&copy, FRAME_BYTES_MAX);
    rv = buffer_append(&copy, body.data, body.size);
    if (rv == HF_OK) rv = record_new(client, part->op.body, &copy, grant, &part->record);
    buffer_close(&copy);
    if (rv != HF_OK) core_drop_grant(&client->core, grant, shell_now(client));
    return rv;
}

/* \param done  it was: a begin brought a record. */
static int take_part(struct call *call, hf_client *client, struct part *part,
                     const struct txn_result *result, bool done)
{
    struct msg_release_reply release;
    uint16_t op = (uint16_t)result->op;
    part->answered = true;
    part->answer = (hf_txn_answer){.status = result->status};
    if (op == OP_CODE_BEGIN && result->status == HF_OK && done)
        return take_begun(call, client, part, result->body);
    if (op == OP_CODE_RELEASE && result->status == HF_OK) {
        if (codec_decode(&msg_release_reply_type, result->body, NULL, &release) != HF_OK)
            return HF_ECORRUPT;
        part->answer.verdict = release.count_left > 0 ? HF_RELEASE_COUNTED : HF_RELEASE_FREED;
    }
    if (op == OP_CODE_BEGIN && result->status == HF_OK) {
        struct msg_begin_reply begun;
        if (codec_decode(&msg_begin_reply_type, result->body, NULL, &begun) != HF_OK)
            return HF_ECORRUPT;
        part->answer.verdict = (int)begun.verdict;
    }
    if (op != OP_CODE_TIMER_SET && op != OP_CODE_TIMER_CANCEL) return HF_OK;
    int rv = timer_see(op, result->status, result->body, &part->answer.timer);
    part->answer.verdict = part->answer.timer.verdict;
    return rv == HF_ECORRUPT ? rv : HF_OK;
}

static int take_done(struct call *call, hf_txn *txn)
{
    struct msg_txn_reply reply;
    struct txn_result results[TXN_OPS_MAX];
    struct arena *arena = &txn->client->core.arena;
    arena_reset(arena);
    int rv = codec_decode(&msg_txn_reply_type, buffer_slice(&call->reply), arena, &reply);
    if (rv != HF_OK || reply.results.count != txn->count) return HF_ECORRUPT;
    memcpy(results, reply.results.items, txn->count * sizeof *results); /* the arena is reused */
    int worst = HF_OK;
    for (uint32_t i = 0; i < txn->count; i++) {
        rv = take_part(call, txn->client, &txn->parts[i], &results[i], true);
        if (rv != HF_OK) worst = rv;
    }
    return worst;
}

static int take_refused(struct call *call, hf_txn *txn)
{
    struct msg_txn_refused refused;
    int rv = codec_decode(&msg_txn_refused_type, buffer_slice(&call->reply), NULL, &refused);
    if (rv != HF_OK || refused.index >= txn->count) return HF_ECORRUPT;
    txn->refused = (int)refused.index;
    const struct txn_result result = {refused.op, refused.status, refused.body};
    rv = take_part(call, txn->client, &txn->parts[refused.index], &result, false);
    return rv == HF_OK ? HF_ENOTACCEPTED : rv;
}

/* take_cb. */
static int take(struct call *call, int verdict)
{
    hf_txn *txn = call->handle; /* NULL: freed meanwhile */
    hf_client *client = call->output;
    bool done = call->over && call->status == HF_OK;
    if (txn != NULL && !call->cancelling && verdict == HF_OK) return take_done(call, txn);
    if (txn != NULL && !call->cancelling && verdict == HF_ENOTACCEPTED)
        return take_refused(call, txn);
    if (done) /* and nobody takes what it brought */
        core_txn_give_back(&client->core, buffer_slice(&call->reply), shell_now(client));
    return verdict;
}

/* ------------------------------------------------------------------ running it */

/* With the lock held. */
static int find_grants(hf_txn *txn)
{
    struct slot *s;
    for (uint32_t i = 0; i < txn->count; i++) {
        struct part *part = &txn->parts[i];
        if (part->op.op != OP_CODE_RELEASE) continue;
        int rv = lock_find_grant(part->lock, &part->grant, &s);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

int hf_txn_run_async(hf_txn *txn, hf_request *request, hf_done_cb done_cb, void *data,
                     hf_call *call)
{
    struct txn_op ops[TXN_OPS_MAX];
    struct call *made;
    if (txn == NULL || done_cb == NULL || txn->count == 0) return HF_EINVAL;
    if (txn->ran) return HF_EBADSTATE;
    for (uint32_t i = 0; i < txn->count; i++) ops[i] = txn->parts[i].op;
    const struct msg_txn message = {.ops = {ops, txn->count}};
    int rv = shell_begin(txn->client, OP_CODE_TXN, &message, &made);
    if (rv != HF_OK) return rv;
    rv = find_grants(txn);
    if (rv != HF_OK) {
        core_detach(&txn->client->core, made);
        shell_leave(txn->client);
        return rv;
    }
    txn->ran = true;
    made->fate = request != NULL ? FATE_HOLD : FATE_REPEAT;
    made->wants_reply = true;
    made->handle = txn;
    made->output = txn->client;
    made->take_cb = take;
    shell_submit(txn->client, made, 0, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_txn_run(hf_txn *txn, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_txn_run_async(txn, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ looking */

const hf_txn_answer *hf_txn_look(const hf_txn *txn, size_t index)
{
    bool known = txn != NULL && index < txn->count && txn->parts[index].answered;
    return known ? &txn->parts[index].answer : NULL;
}

int hf_txn_refused(const hf_txn *txn)
{
    return txn != NULL ? txn->refused : -1;
}

int hf_txn_take_record(hf_txn *txn, size_t index, hf_record **record)
{
    if (txn == NULL || record == NULL) return HF_EINVAL;
    if (index >= txn->count) return HF_EBADSTATE;
    struct part *part = &txn->parts[index];
    if (part->lost) return HF_ELOST;
    if (part->record == NULL) return HF_EBADSTATE;
    *record = part->record;
    part->record = NULL;
    return HF_OK;
}

_Static_assert((int)HF_TXN_OPS_MAX == (int)TXN_OPS_MAX, "the wire's");
_Static_assert((int)HF_TXN_ANSWERS_MAX == (int)TXN_ANSWERS_MAX, "likewise");
_Static_assert((int)HF_RELEASE_COUNTED == (int)RELEASE_COUNTED, "likewise");

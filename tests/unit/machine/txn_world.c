/* See the header. */
#include "tests/unit/machine/txn_world.h"

#include "base/status.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/timers.h"

enum { LOCKS = 3, RECORDS = 4, TIMERS = 3, OWNERS = 3, TTL_MS = 3600000, WAIT_MS = 20000 };

static const char *const lock_names[LOCKS] = {"lock-a", "lock-b", "lock-c"};
static const char *const record_keys[RECORDS] = {"rec-a", "rec-b", "rec-c", "rec-d"};
static const char *const timer_keys[TIMERS] = {"tim-a", "tim-b", "tim-c"};

uint64_t txn_below(struct txn_world *w, uint64_t bound)
{
    return prng_below(&w->prng, bound);
}

bool txn_one_in(struct txn_world *w, uint64_t n)
{
    return txn_below(w, n) == 0;
}

void txn_world_open(struct txn_world *w, struct fixture *f, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    w->f = f;
    prng_seed(&w->prng, seed);
    w->sessions[0] = open_session(f, "txn", TTL_MS);
    w->sessions[1] = open_session(f, "other", TTL_MS);
}

/* ------------------------------------------------------------------ what is known */

void txn_learn(struct txn_known_list *list, struct txn_known known)
{
    list->items[list->count++ % WORLD_KNOWN_MAX] = known;
}

/* One that was told, mostly a late one; zero if there is none. */
static struct txn_known recall(struct txn_world *w, const struct txn_known_list *list)
{
    if (list->count == 0) return (struct txn_known){0};
    uint64_t reach = list->count < 8 || !txn_one_in(w, 4) ? 8 : WORLD_KNOWN_MAX;
    if (reach > list->count) reach = list->count;
    return list->items[(list->count - 1 - txn_below(w, reach)) % WORLD_KNOWN_MAX];
}

static void learn_answer(struct txn_world *w, const struct answer *a, uint64_t seq)
{
    const struct txn_asked *asked = &w->asked[seq % WORLD_CALLS_MAX];
    if (a->kind == ANSWER_PARKED || a->status != HF_OK) return;
    if (asked->op == OP_CODE_ACQUIRE) {
        struct msg_granted granted;
        read_body(w->f, OP_CODE_ACQUIRE, a, &granted);
        txn_learn(&w->grants, (struct txn_known){granted.fencing_token, asked->owner, asked->name});
    } else if (asked->op == OP_CODE_BEGIN) {
        struct msg_begin_reply begun;
        read_body(w->f, OP_CODE_BEGIN, a, &begun);
        if (begun.fencing_token == 0) return;
        txn_learn(&w->attempts, (struct txn_known){begun.fencing_token, 0, asked->name});
    }
}

void txn_learn_woken(struct txn_world *w)
{
    for (uint32_t i = 0; i < w->f->answer_count; i++) {
        const struct answer *a = &w->f->answers[i];
        if (a->kind == ANSWER_WOKEN) learn_answer(w, a, a->seq);
    }
}

/* ------------------------------------------------------------------ between TXNs */

uint64_t txn_next_seq(struct txn_world *w, uint16_t op, unsigned name, uint64_t owner)
{
    uint64_t seq = ++w->seq;
    w->asked[seq % WORLD_CALLS_MAX] = (struct txn_asked){op, name, owner};
    return seq;
}

struct envelope txn_envelope(struct txn_world *w, uint64_t session, uint64_t seq)
{
    /* What is old is acknowledged, so that rows do not pile up; the last one stays for retries. */
    return (struct envelope){
        .session = session,
        .seq = seq,
        .ack = session == w->sessions[0] ? w->ack : 0,
        .renews = 1,
        .principal = slice_of("anonymous"),
        .peer = slice_of("127.0.0.1:1"),
    };
}

static void send(struct txn_world *w, uint16_t op, uint64_t session, uint64_t seq,
                 const void *request)
{
    const struct envelope e = txn_envelope(w, session, seq);
    const struct answer *a = call_with(w->f, op, &e, request);
    learn_answer(w, a, seq);
    txn_learn_woken(w);
}

static void do_acquire(struct txn_world *w, uint64_t session)
{
    unsigned name = (unsigned)txn_below(w, LOCKS);
    struct slice names[1] = {slice_of(lock_names[name])};
    const struct msg_acquire request = {
        .names = {names, 1},
        .owner = 1 + txn_below(w, OWNERS),
        .mode = txn_one_in(w, 3) ? MODE_SHARED : MODE_EXCLUSIVE,
        .wait_ms = txn_one_in(w, 3) ? 0 : WAIT_MS,
        .delay_ms = txn_one_in(w, 8) ? 500 : 0,
        .reentrant = txn_one_in(w, 3),
    };
    uint64_t seq = txn_next_seq(w, OP_CODE_ACQUIRE, name, request.owner);
    send(w, OP_CODE_ACQUIRE, session, seq, &request);
}

static struct msg_begin draw_begin(struct txn_world *w, unsigned name)
{
    struct msg_begin begin = txn_begin(record_keys[name], txn_one_in(w, 12) ? 2 : 1);
    if (txn_one_in(w, 4)) begin.lease_ms = 0;
    begin.takeover = txn_one_in(w, 4) ? TAKEOVER_MANUAL : TAKEOVER_AUTO;
    begin.meta = slice_of("me");
    return begin;
}

static void do_begin(struct txn_world *w, uint64_t session)
{
    unsigned name = (unsigned)txn_below(w, RECORDS);
    struct msg_begin begin = draw_begin(w, name);
    begin.wait_ms = txn_one_in(w, 2) ? 0 : WAIT_MS;
    send(w, OP_CODE_BEGIN, session, txn_next_seq(w, OP_CODE_BEGIN, name, 0), &begin);
}

static void do_checkpoint(struct txn_world *w, uint64_t session)
{
    struct txn_known known = recall(w, &w->attempts);
    if (known.token == 0) return;
    const struct msg_checkpoint request = {
        .key = slice_of(record_keys[known.name]),
        .fencing_token = known.token,
        .name = slice_of("charge"),
        .number = 1 + txn_below(w, 4),
        .data = slice_of("card"),
        .external = txn_below(w, 3),
    };
    send(w, OP_CODE_CHECKPOINT, session, txn_next_seq(w, 0, 0, 0), &request);
}

/* By the other session: what it holds would stay for ever. */
static void do_release(struct txn_world *w)
{
    struct txn_known known = recall(w, &w->grants);
    if (known.token == 0) return;
    const struct msg_release request = {{0}, known.token, known.owner};
    send(w, OP_CODE_RELEASE, w->sessions[1], txn_next_seq(w, 0, 0, 0), &request);
}

static void do_poll(struct txn_world *w, uint64_t session)
{
    const struct msg_timer_poll poll = {slice_of("g"), 2, TXN_RIG_LEASE_MS, 0};
    const struct envelope e = txn_envelope(w, session, txn_next_seq(w, 0, 0, 0));
    const struct answer *a = call_with(w->f, OP_CODE_TIMER_POLL, &e, &poll);
    struct msg_timer_poll_reply reply;
    read_body(w->f, OP_CODE_TIMER_POLL, a, &reply);
    if (reply.deliveries.count == 0) return;
    const struct msg_timer_ack ack = {{0}, delivery_at(&reply, 0)->fencing_token};
    if (txn_one_in(w, 2)) send(w, OP_CODE_TIMER_ACK, session, txn_next_seq(w, 0, 0, 0), &ack);
}

static void do_complete(struct txn_world *w, uint64_t session)
{
    struct txn_known known = recall(w, &w->attempts);
    if (known.token == 0) return;
    const struct msg_complete complete =
        txn_complete(record_keys[known.name], known.token, OUTCOME_DONE + txn_below(w, 3));
    send(w, OP_CODE_COMPLETE, session, txn_next_seq(w, 0, 0, 0), &complete);
}

void txn_move(struct txn_world *w)
{
    uint64_t session = w->sessions[txn_below(w, 2)];
    switch (txn_below(w, 11)) {
    case 0:
    case 1:
    case 2: do_acquire(w, session); break;
    case 3:
    case 4: do_begin(w, session); break;
    case 5: do_checkpoint(w, session); break;
    case 6: do_poll(w, session); break;
    case 7:
        pass(w->f, txn_below(w, 2 * TXN_RIG_LEASE_MS));
        txn_learn_woken(w);
        break;
    case 8:
    case 9: do_release(w); break;
    default:
        if (txn_one_in(w, 3)) do_complete(w, session);
        if (txn_one_in(w, 20)) pass(w->f, RETAIN_MS_MIN + 1);
        break;
    }
}

/* ------------------------------------------------------------------ drawing a TXN */

static void draw_release(struct txn_world *w, struct txn_drawn *d)
{
    struct txn_known known = recall(w, &w->grants);
    if (known.token == 0) known = (struct txn_known){1, 1, 0};
    uint64_t which = txn_below(w, 4);
    if (which == 1) known.name = (unsigned)txn_below(w, LOCKS);
    d->name = known.name;
    d->request.release = (struct msg_release){
        .name = which == 0 ? (struct slice){0} : slice_of(lock_names[known.name]),
        .fencing_token = txn_one_in(w, 40) ? TOKEN_END - 1 : known.token,
        .owner = txn_one_in(w, 10) ? 1 + txn_below(w, OWNERS) : known.owner,
    };
}

static void draw_complete(struct txn_world *w, struct txn_drawn *d)
{
    struct txn_known known = recall(w, &w->attempts);
    if (known.token == 0) known = (struct txn_known){1, 0, 0};
    d->name = known.name;
    uint64_t token = txn_one_in(w, 40) ? TOKEN_END - 1 : known.token;
    d->request.complete =
        txn_complete(record_keys[known.name], token, OUTCOME_DONE + txn_below(w, 3));
    d->request.complete.code = txn_below(w, 2);
}

static void draw_one(struct txn_world *w, struct txn_drawn *d)
{
    static const uint16_t ops[] = {OP_CODE_RELEASE, OP_CODE_BEGIN, OP_CODE_COMPLETE,
                                   OP_CODE_TIMER_SET, OP_CODE_TIMER_CANCEL};
    memset(d, 0, sizeof *d);
    d->op = ops[txn_below(w, HF_ARRAY_COUNT(ops))];
    switch (d->op) {
    case OP_CODE_RELEASE: draw_release(w, d); break;
    case OP_CODE_COMPLETE: draw_complete(w, d); break;
    case OP_CODE_BEGIN:
        d->name = (unsigned)txn_below(w, RECORDS);
        d->request.begin = draw_begin(w, d->name);
        if (txn_one_in(w, 2) && w->grants.count > 0) {
            struct txn_known guard = recall(w, &w->grants);
            d->request.begin.guard_name = slice_of(lock_names[guard.name]);
            d->request.begin.guard_token = guard.token;
        }
        break;
    case OP_CODE_TIMER_SET:
        d->name = (unsigned)txn_below(w, TIMERS);
        d->request.set = timer_request((struct timer_want){
            .key = timer_keys[d->name],
            .delay_ms = txn_one_in(w, 4) ? 0 : txn_below(w, 4000),
            .version = txn_below(w, 4),
            .payload = "close the order",
        });
        break;
    default:
        d->name = (unsigned)txn_below(w, TIMERS);
        d->request.cancel.key = slice_of(timer_keys[d->name]);
    }
}

static bool is_same_thing(const struct txn_drawn *a, const struct txn_drawn *b)
{
    bool grants = a->op == OP_CODE_RELEASE && b->op == OP_CODE_RELEASE;
    if (grants) return a->request.release.fencing_token == b->request.release.fencing_token;
    bool of_records = a->op == OP_CODE_BEGIN || a->op == OP_CODE_COMPLETE;
    bool with_records = b->op == OP_CODE_BEGIN || b->op == OP_CODE_COMPLETE;
    bool of_timers = a->op == OP_CODE_TIMER_SET || a->op == OP_CODE_TIMER_CANCEL;
    bool with_timers = b->op == OP_CODE_TIMER_SET || b->op == OP_CODE_TIMER_CANCEL;
    bool same_kind = (of_records && with_records) || (of_timers && with_timers);
    return same_kind && a->name == b->name;
}

uint32_t txn_draw(struct txn_world *w, struct txn_drawn *ops)
{
    uint32_t wanted = 1 + (uint32_t)txn_below(w, 5);
    uint32_t count = 0;
    for (uint32_t tries = 0; count < wanted && tries < 20; tries++) {
        struct txn_drawn d;
        bool taken = false;
        draw_one(w, &d);
        for (uint32_t i = 0; i < count; i++) taken = taken || is_same_thing(&ops[i], &d);
        if (!taken) ops[count++] = d;
    }
    assert_true(count >= 1);
    return count;
}

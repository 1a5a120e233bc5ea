/* What can be said of a lock's history in O(n log n), before the search: what may be left out, and
 * what is surely wrong. Both are about tokens: who was given which, and who showed which. */
#include <inttypes.h>
#include <stdlib.h>

#include "jepsen/check/model_lock.h"

/* ------------------------------------------------------------------ sorted facts */

/* Something at a moment, about an owner or a token. */
struct fact {
    int64_t about;              /* owner or token */
    int64_t at_ns;              /* the moment */
    const struct operation *op; /* which says so, or NULL */
};

struct facts {
    struct fact *items; /* owned */
    size_t count;
};

static void facts_init(struct facts *f, size_t most)
{
    f->items = calloc(most + 1, sizeof *f->items);
    HF_ASSERT(f->items != NULL);
    f->count = 0;
}

static void facts_add(struct facts *f, int64_t about, int64_t at_ns, const struct operation *op)
{
    f->items[f->count++] = (struct fact){about, at_ns, op};
}

static int by_moment(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    if (x->at_ns != y->at_ns) return x->at_ns < y->at_ns ? -1 : 1;
    return x->about < y->about ? -1 : x->about > y->about;
}

static int by_about(const void *a, const void *b)
{
    const struct fact *x = a, *y = b;
    if (x->about != y->about) return x->about < y->about ? -1 : 1;
    return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

static void facts_sort(struct facts *f)
{
    qsort(f->items, f->count, sizeof *f->items, by_about);
}

/* The earliest (or the latest) fact about this one, or NULL. The facts are sorted. */
static const struct fact *facts_find(const struct facts *f, int64_t about, bool latest)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        bool before = f->items[middle].about < about || (latest && f->items[middle].about == about);
        if (before)
            low = middle + 1;
        else
            high = middle;
    }
    if (latest) low -= low > 0;
    return low < f->count && f->items[low].about == about ? &f->items[low] : NULL;
}

static bool is_grant(const struct operation *op)
{
    return op->kind == KIND_ACQUIRE && op->outcome == RESULT_OK && op->count <= 1;
}

/* ------------------------------------------------------------------ beliefs */

/* A grant as its holder believes in it. */
struct belief {
    int64_t begin_ns;           /* its answer was here */
    int64_t end_ns;             /* its lease is over, or its release was sent */
    const struct operation *op; /* the acquire */
    uint8_t mode;               /* enum operation_mode: at least */
};

static int by_begin(const void *a, const void *b)
{
    const struct belief *x = a, *y = b;
    if (x->begin_ns != y->begin_ns) return x->begin_ns < y->begin_ns ? -1 : 1;
    return x->op->token < y->op->token ? -1 : x->op->token > y->op->token;
}

/* Changes of the mode, by token and moment. From the send of a downgrade on it is surely held no
 * more than shared; from the answer to an upgrade on exclusively. Whoever asks for a downgrade that
 * is not answered does not know any more. */
static void add_change(struct facts *changes, const struct operation *op)
{
    bool done = op->outcome == RESULT_OK;
    if (op->kind == KIND_DOWNGRADE && op->outcome != RESULT_FAIL)
        facts_add(changes, op->token, op->call_ns, op);
    if (op->kind == KIND_UPGRADE && done) facts_add(changes, op->token, op->return_ns, op);
}

/* The parts of a belief between changes of its mode. \return how many are in `parts` now. */
static size_t add_parts(struct belief b, const struct facts *changes, struct belief *parts,
                        size_t count)
{
    const struct fact *c = facts_find(changes, b.op->token, false);
    const struct fact *end = changes->items + changes->count;
    b.mode = b.op->mode;
    for (; c != NULL && c < end && c->about == b.op->token && c->at_ns < b.end_ns; c++) {
        uint8_t mode = c->op->kind == KIND_DOWNGRADE ? HELD_SHARED : HELD_EXCLUSIVE;
        if (mode != b.mode && c->at_ns > b.begin_ns) {
            parts[count] = b;
            parts[count++].end_ns = c->at_ns;
            b.begin_ns = c->at_ns;
        }
        b.mode = mode;
        if (c->op->outcome == RESULT_UNKNOWN) break;
    }
    parts[count++] = b;
    return count;
}

/* Each grant from its answer to its lease's earliest end, or to the first release of it: there it
 * surely stands. By the moment of the answer. */
static size_t find_beliefs(const struct operation *operations, size_t operation_count,
                           struct belief *beliefs)
{
    struct facts grants, leases, ends, blank_ends, changes;
    size_t count = 0;
    facts_init(&grants, operation_count);
    facts_init(&leases, operation_count);
    facts_init(&ends, operation_count);
    facts_init(&blank_ends, operation_count);
    facts_init(&changes, operation_count);
    for (size_t i = 0; i < operation_count; i++) {
        const struct operation *op = &operations[i];
        if (is_grant(op)) facts_add(&grants, op->token, op->return_ns, op);
        add_change(&changes, op);
        bool lease = is_grant(op) && (!op->reentrant || op->count == 1);
        lease = lease || (op->kind == KIND_LOCK_RENEW && op->outcome == RESULT_OK);
        if (lease) facts_add(&leases, op->token, op->lease_until_ns, op);
        if (op->kind == KIND_RELEASE && op->outcome != RESULT_FAIL && op->token != 0)
            facts_add(&ends, op->token, op->call_ns, op);
        if (op->kind == KIND_RELEASE && op->outcome != RESULT_FAIL && op->token == 0)
            facts_add(&blank_ends, op->owner, op->call_ns, op);
    }
    facts_sort(&grants);
    facts_sort(&leases);
    facts_sort(&ends);
    facts_sort(&blank_ends);
    facts_sort(&changes);
    for (size_t i = 0; i < grants.count; i++) {
        const struct operation *op = grants.items[i].op;
        if (i > 0 && grants.items[i - 1].about == op->token) continue;
        const struct fact *end = facts_find(&ends, op->token, false);
        const struct fact *blank = facts_find(&blank_ends, op->owner, false);
        const struct fact *lease = facts_find(&leases, op->token, true);
        struct belief b = {grants.items[i].at_ns, lease != NULL ? lease->at_ns : 0, op, 0};
        if (end != NULL && end->at_ns < b.end_ns) b.end_ns = end->at_ns;
        if (blank != NULL && blank->at_ns < b.end_ns) b.end_ns = blank->at_ns;
        count = add_parts(b, &changes, beliefs, count);
    }
    free(grants.items);
    free(leases.items);
    free(ends.items);
    free(blank_ends.items);
    free(changes.items);
    qsort(beliefs, count, sizeof *beliefs, by_begin);
    return count;
}

/* ------------------------------------------------------------------ what is left out */

/* Does the operation show that a grant stood? Then whose, and which: 0 = it does not say. */
static bool shows(const struct operation *op, uint32_t *owner, int64_t *token)
{
    *owner = op->shown_owner;
    *token = op->shown_token;
    if (op->outcome == RESULT_UNKNOWN) return false;
    switch ((enum operation_kind)op->kind) {
    case KIND_ACQUIRE:
        if (op->error == ERROR_BUSY) return true;
        *owner = op->owner;
        if (op->error == ERROR_ALREADY_HELD) return true;
        *token = op->token;
        return op->count > 1;
    case KIND_QUERY: return op->held;
    case KIND_CHECK:
        *token = op->status == STATUS_VALID ? op->token : 0;
        return op->status != STATUS_FREE;
    case KIND_UPGRADE:
        if (op->error == ERROR_BUSY) return true;
        *owner = op->owner;
        *token = op->token;
        return op->outcome == RESULT_OK;
    case KIND_LOCK_RENEW:
    case KIND_DOWNGRADE:
    case KIND_RELEASE:
        *owner = op->owner;
        *token = op->token;
        return op->outcome == RESULT_OK && op->token != 0 && !op->if_any;
    default: return false;
    }
}

/* What was granted, to whom and how long, and what shows that. */
struct shown {
    struct facts grants;    /* by token */
    struct belief *beliefs; /* by begin; end_ns: the latest of those up to here */
    size_t belief_count;
    struct facts riddles; /* by owner: shown, and explained by no grant that we know of */
    struct facts traces;  /* by owner: shown at all, or released, or acquired again */
    struct facts unknown; /* by owner: acquires of unknown outcome */
    int64_t unknown_ns;   /* call of the first of them */
    int64_t unnamed_ns;   /* return of the last that needs somebody, and does not say whom */
};

/* A grant that is not named: does one that surely stood all the time explain it? */
static bool somebody_stood(const struct shown *s, const struct operation *op)
{
    size_t low = 0, high = s->belief_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->beliefs[middle].begin_ns <= op->call_ns)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || s->beliefs[low - 1].end_ns <= op->return_ns) return false;
    const struct operation *other = s->beliefs[low - 1].op;
    return other->owner != op->owner && other->token != op->token;
}

/* It changes nothing, and can be left out. */
static bool only_looks(const struct operation *op)
{
    return op->outcome == RESULT_FAIL || op->kind == KIND_QUERY || op->kind == KIND_CHECK;
}

static void note(struct shown *s, const struct operation *op)
{
    uint32_t owner;
    int64_t token;
    bool shown = shows(op, &owner, &token);
    const struct fact *grant = token != 0 ? facts_find(&s->grants, token, false) : NULL;
    bool counts = op->outcome == RESULT_OK &&
                  (op->kind == KIND_RELEASE ||
                   (op->kind == KIND_ACQUIRE && (op->reentrant || op->version == 1)));
    if (!shown && !counts) return;
    if (op->kind == KIND_UPGRADE && op->error == ERROR_BUSY) { /* its own grant stood, too */
        owner = op->owner;
        token = op->token;
        grant = facts_find(&s->grants, token, false);
    }
    if (owner == 0 && token == 0) return; /* see is_unnamed() */
    facts_add(&s->traces, grant != NULL ? grant->op->owner : owner, op->return_ns, op);
    bool explained = grant != NULL && grant->at_ns <= op->return_ns;
    bool vague = owner == 0 && grant == NULL && only_looks(op); /* see is_unnamed() */
    if (shown && !explained && !vague) facts_add(&s->riddles, owner, op->return_ns, op);
}

static void look_around(struct shown *s, const struct operation *operations, size_t count)
{
    facts_init(&s->grants, count);
    facts_init(&s->riddles, count);
    facts_init(&s->traces, count);
    facts_init(&s->unknown, count);
    s->unknown_ns = OPERATION_NEVER;
    s->unnamed_ns = -1;
    s->beliefs = calloc(count + 1, sizeof *s->beliefs);
    HF_ASSERT(s->beliefs != NULL);
    s->belief_count = find_beliefs(operations, count, s->beliefs);
    for (size_t i = 1; i < s->belief_count; i++) {
        if (s->beliefs[i].end_ns >= s->beliefs[i - 1].end_ns) continue;
        s->beliefs[i].end_ns = s->beliefs[i - 1].end_ns;
        s->beliefs[i].op = s->beliefs[i - 1].op;
    }
    for (size_t i = 0; i < count; i++) {
        const struct operation *op = &operations[i];
        if (is_grant(op)) facts_add(&s->grants, op->token, op->call_ns, op);
        if (op->kind != KIND_ACQUIRE || op->outcome != RESULT_UNKNOWN) continue;
        facts_add(&s->unknown, op->owner, op->call_ns, op);
    }
    facts_sort(&s->grants);
    facts_sort(&s->unknown);
    for (size_t i = 0; i < count; i++) note(s, &operations[i]);
    facts_sort(&s->riddles);
    facts_sort(&s->traces);
}

static void look_away(struct shown *s)
{
    free(s->grants.items);
    free(s->beliefs);
    free(s->riddles.items);
    free(s->traces.items);
    free(s->unknown.items);
}

static void raise_to_latest(const struct facts *facts, int64_t about, int64_t *until_ns)
{
    const struct fact *latest = facts_find(facts, about, true);
    if (latest != NULL && latest->at_ns > *until_ns) *until_ns = latest->at_ns;
}

/* Until when the effect of an acquire of unknown outcome may be needed; false: never. One that
 * counts one more keeps its grant standing, so that whatever shows that owner may need it. */
static bool is_useful(struct operation *op, const struct shown *s)
{
    int64_t until_ns = -1;
    raise_to_latest(&s->riddles, op->owner, &until_ns);
    raise_to_latest(&s->riddles, 0, &until_ns);
    if (op->reentrant) raise_to_latest(&s->traces, op->owner, &until_ns);
    op->useful_until_ns = until_ns;
    return until_ns >= op->call_ns;
}

/* A known operation that is not to be searched for; its useful_until_ns says so. */
enum { LEFT_OUT = -1 };

/* It says that somebody held, and not who (or by a token alone that nobody was told), and no known
 * grant surely did. */
static bool is_unnamed(const struct operation *op, const struct shown *s)
{
    uint32_t owner;
    int64_t token;
    if (!shows(op, &owner, &token) || owner != 0) return false;
    if (token != 0) return only_looks(op) && facts_find(&s->grants, token, false) == NULL;
    return !somebody_stood(s, op);
}

/* The only acquire of unknown outcome of its owner, whose grant was seen, under a token that nobody
 * was told: so it was done, with that token, before it was seen. */
static void infer(struct operation *op, const struct shown *s)
{
    const struct fact *first = facts_find(&s->unknown, op->owner, false);
    const struct fact *seen = facts_find(&s->riddles, op->owner, false);
    const struct fact *end = s->riddles.items + s->riddles.count;
    const struct fact *earliest = NULL;
    int64_t granted = 0;
    if (first != facts_find(&s->unknown, op->owner, true)) return;
    for (; seen != NULL && seen < end && seen->about == op->owner; seen++) {
        uint32_t owner;
        int64_t token;
        (void)shows(seen->op, &owner, &token);
        if (token == 0) continue;
        if (facts_find(&s->grants, token, false) != NULL) return;
        if (granted != 0 && token != granted) return;
        if (earliest == NULL) earliest = seen;
        granted = token;
    }
    if (earliest == NULL || earliest->at_ns < op->call_ns) return;
    op->token = granted;
    op->return_ns = earliest->at_ns;
    op->outcome = RESULT_OK;
    op->inferred = true;
    op->count = op->version >= 2 ? 1 : -1;
}

static void look_for_traces(struct operation *op, const struct shown *s)
{
    op->shown_until_ns = s->unnamed_ns;
    raise_to_latest(&s->traces, op->owner, &op->shown_until_ns);
    raise_to_latest(&s->traces, 0, &op->shown_until_ns);
}

/* Infer what can be, and mark what is vague. The facts point at the operations: none moves yet. */
static void conclude(struct operation *operations, size_t count, struct shown *s)
{
    for (size_t i = 0; i < count; i++) {
        struct operation *op = &operations[i];
        if (op->kind != KIND_ACQUIRE || op->outcome != RESULT_UNKNOWN) continue;
        infer(op, s);
        if (!op->inferred && op->call_ns < s->unknown_ns) s->unknown_ns = op->call_ns;
    }
    for (size_t i = 0; i < count; i++) {
        struct operation *op = &operations[i];
        if (!is_unnamed(op, s)) continue;
        /* Any acquire of unknown outcome may be meant: too little to be worth a search among them.
         */
        if (op->return_ns >= s->unknown_ns)
            op->useful_until_ns = LEFT_OUT;
        else if (op->return_ns > s->unnamed_ns)
            s->unnamed_ns = op->return_ns;
    }
    for (size_t i = 0; i < count; i++) {
        if (operations[i].kind == KIND_ACQUIRE) look_for_traces(&operations[i], s);
    }
}

void lock_prepare(struct operation *operations, size_t *count)
{
    struct facts owners;
    struct shown shown;
    size_t kept = 0;
    facts_init(&owners, *count);
    look_around(&shown, operations, *count);
    conclude(operations, *count, &shown);
    for (size_t i = 0; i < *count; i++) {
        struct operation *op = &operations[i];
        bool acquires = op->kind == KIND_ACQUIRE;
        bool keep = op->useful_until_ns != LEFT_OUT && op->error != ERROR_DEADLOCK;
        if (op->outcome == RESULT_UNKNOWN)
            keep = op->kind == KIND_RELEASE || op->kind == KIND_DOWNGRADE ||
                   (acquires && is_useful(op, &shown));
        if (keep && acquires) facts_add(&owners, op->owner, op->call_ns, NULL);
        if (keep) operations[kept++] = *op;
    }
    facts_sort(&owners);
    *count = kept;
    kept = 0;
    for (size_t i = 0; i < *count; i++) {
        const struct operation *op = &operations[i];
        bool blank = op->outcome == RESULT_UNKNOWN && op->kind == KIND_RELEASE && op->token == 0;
        if (!blank || facts_find(&owners, op->owner, false) != NULL) operations[kept++] = *op;
    }
    *count = kept;
    look_away(&shown);
    free(owners.items);
}

/* ------------------------------------------------------------------ what is surely wrong */

static const char *owner_of(const struct key_history *key, const struct operation *op)
{
    return strings_text(&key->history->strings, op->owner);
}

static bool one_owner_a_token(const struct key_history *key, const struct facts *grants,
                              struct buffer *complaint)
{
    for (size_t i = 1; i < grants->count; i++) {
        const struct operation *a = grants->items[i - 1].op, *b = grants->items[i].op;
        if (a->token != b->token || a->owner == b->owner) continue;
        model_say(complaint,
                  "token %" PRId64 " was given to two owners, %s (line %" PRIu32 ") and %s (line "
                  "%" PRIu32 ")",
                  a->token, owner_of(key, a), a->line, owner_of(key, b), b->line);
        return false;
    }
    return true;
}

/* A grant that was asked for after another had been answered has the greater token. */
static bool tokens_rise(const struct key_history *key, const struct facts *returns,
                        struct buffer *complaint)
{
    const struct operation *greatest = NULL;
    size_t at = 0;
    for (size_t i = 0; i < key->count; i++) {
        const struct operation *op = &key->operations[i];
        if (!is_grant(op) || op->reentrant) continue;
        for (; at < returns->count && returns->items[at].at_ns < op->call_ns; at++) {
            const struct operation *before = returns->items[at].op;
            if (greatest == NULL || before->token > greatest->token) greatest = before;
        }
        if (greatest == NULL || op->token > greatest->token) continue;
        if (op->version == 1 && op->token == greatest->token && op->owner == greatest->owner)
            continue; /* a retry */
        model_say(complaint,
                  "%s was given token %" PRId64 " (line %" PRIu32 ") after %s had token %" PRId64
                  " (line %" PRIu32 ")",
                  owner_of(key, op), op->token, op->line, owner_of(key, greatest), greatest->token,
                  greatest->line);
        return false;
    }
    return true;
}

static bool clash(const struct key_history *key, const struct belief *first,
                  const struct belief *second, struct buffer *complaint)
{
    char at[32], until[32];
    model_say(complaint,
              "%s had token %" PRId64 " (line %" PRIu32 ") at %s, while %s held token %" PRId64
              " (line %" PRIu32 ") until %s at least",
              owner_of(key, second->op), second->op->token, second->op->line,
              model_time(second->begin_ns, at), owner_of(key, first->op), first->op->token,
              first->op->line, model_time(first->end_ns, until));
    return false;
}

static bool exclude(const struct belief *a, const struct belief *b)
{
    if (a->mode == HELD_EXCLUSIVE || a->mode != b->mode) return true;
    return a->mode == HELD_PERMITS && a->op->limit != b->op->limit;
}

static bool beliefs_are_disjoint(const struct key_history *key, const struct belief *beliefs,
                                 size_t count, struct buffer *complaint)
{
    const struct belief *last[HELD_PERMITS + 1] = {NULL}; /* of each mode: which ends last */
    for (size_t i = 0; i < count; i++) {
        const struct belief *b = &beliefs[i];
        if (b->end_ns <= b->begin_ns) continue;
        for (int mode = 0; mode <= HELD_PERMITS; mode++) {
            const struct belief *a = last[mode];
            if (a != NULL && a->end_ns > b->begin_ns && exclude(a, b))
                return clash(key, a, b, complaint);
        }
        if (last[b->mode] == NULL || b->end_ns > last[b->mode]->end_ns) last[b->mode] = b;
    }
    return true;
}

static int by_end(const void *a, const void *b)
{
    const struct belief *x = a, *y = b;
    if (x->end_ns != y->end_ns) return x->end_ns < y->end_ns ? -1 : 1;
    return x->op->token < y->op->token ? -1 : x->op->token > y->op->token;
}

/* At no moment are more units believed in than there are. */
static bool units_fit(const struct key_history *key, const struct belief *beliefs, size_t count,
                      struct buffer *complaint)
{
    struct belief *ends = calloc(count + 1, sizeof *ends);
    size_t end_count = 0, ended = 0;
    int64_t units = 0;
    bool fine = true;
    HF_ASSERT(ends != NULL);
    for (size_t i = 0; i < count; i++) {
        if (beliefs[i].mode == HELD_PERMITS && beliefs[i].end_ns > beliefs[i].begin_ns)
            ends[end_count++] = beliefs[i];
    }
    qsort(ends, end_count, sizeof *ends, by_end);
    for (size_t i = 0; i < count && fine; i++) {
        const struct belief *b = &beliefs[i];
        char at[32];
        if (b->mode != HELD_PERMITS || b->end_ns <= b->begin_ns) continue;
        for (; ended < end_count && ends[ended].end_ns <= b->begin_ns; ended++)
            units -= ends[ended].op->permits;
        units += b->op->permits;
        fine = units <= b->op->limit;
        if (!fine)
            model_say(complaint,
                      "%" PRId64 " permits of %" PRId64 " were surely out at %s, when %s had token "
                      "%" PRId64 " (line %" PRIu32 ")",
                      units, b->op->limit, model_time(b->begin_ns, at), owner_of(key, b->op),
                      b->op->token, b->op->line);
    }
    free(ends);
    return fine;
}

bool lock_quick(const struct key_history *key, struct buffer *complaint)
{
    struct facts grants, returns;
    facts_init(&grants, key->count);
    facts_init(&returns, key->count);
    for (size_t i = 0; i < key->count; i++) {
        const struct operation *op = &key->operations[i];
        if (!is_grant(op)) continue;
        facts_add(&grants, op->token, op->return_ns, op);
        facts_add(&returns, op->token, op->return_ns, op);
    }
    facts_sort(&grants);
    qsort(returns.items, returns.count, sizeof *returns.items, by_moment);
    bool fine = one_owner_a_token(key, &grants, complaint) && tokens_rise(key, &returns, complaint);
    struct belief *beliefs = calloc(key->count + 1, sizeof *beliefs);
    HF_ASSERT(beliefs != NULL);
    if (fine) {
        size_t count = find_beliefs(key->operations, key->count, beliefs);
        fine = beliefs_are_disjoint(key, beliefs, count, complaint) &&
               units_fit(key, beliefs, count, complaint);
    }
    free(beliefs);
    free(grants.items);
    free(returns.items);
    return fine;
}

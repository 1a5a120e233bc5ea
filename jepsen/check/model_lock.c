/* Locks: leases, owners, fencing tokens; exclusive grants, shared ones, and permits; acquires that
 * count; changes of the mode. A lock that was asked for together with others is judged by itself.
 *
 * The state is the greatest token and the grants that stand, or may stand. A grant whose lease is
 * over stays in the state until an operation shows that it has gone: up to then the server may not
 * have let it lapse. A grant by an acquire of unknown outcome has no token yet: its lower bound,
 * negated, stands there until somebody shows the token.
 *
 * Of permits whose leases are over, which one lapsed to make room is not chosen: each stays as long
 * as it alone would have had room beside what surely stood at every grant since. So of two that
 * both show themselves afterwards, and had no room together, nothing is said unless they are
 * renewed. */
#include "jepsen/check/model_lock.h"

#include <inttypes.h>
#include <string.h>

struct holder {
    int64_t token;    /* negative: not known, at least its magnitude */
    int64_t below;    /* token not known: it is smaller than this; 0 = no later one is known */
    int64_t until_ns; /* its lease's earliest end */
    int64_t shown_until_ns; /* what returns later does not show it */
    uint32_t owner;         /* string */
    uint16_t count;         /* releases that it needs */
    uint16_t mode;          /* enum operation_mode */
    uint32_t permits;       /* how many; 0 = of another mode */
    uint32_t limit;         /* of how many */
};

struct lock {
    int64_t last_token; /* no grant had a greater one; 0 = none yet */
    uint64_t count;     /* holders, by age */
    struct holder holders[];
};

enum { HOLDERS_MAX = (MODEL_STATE_BYTES_MAX - sizeof(struct lock)) / sizeof(struct holder) };

static struct lock *look(const struct model_state *state)
{
    return (struct lock *)(void *)(uintptr_t)state->bytes;
}

static void fit(struct model_state *state)
{
    state->size = sizeof(struct lock) + look(state)->count * sizeof(struct holder);
}

static void start(struct model_state *state)
{
    *look(state) = (struct lock){0};
    fit(state);
}

/* ------------------------------------------------------------------ holders */

static bool may_lapse(const struct holder *holder, const struct model_step *step)
{
    return step->now_ns >= holder->until_ns;
}

static void end_grant(struct lock *l, struct holder *holder)
{
    size_t behind = l->count - (size_t)(holder - l->holders) - 1;
    memmove(holder, holder + 1, behind * sizeof *holder);
    l->count--;
}

static struct holder *find_owner(struct lock *l, uint32_t owner)
{
    for (uint64_t i = 0; i < l->count; i++) {
        if (l->holders[i].owner == owner) return &l->holders[i];
    }
    return NULL;
}

static void bind_token(struct lock *l, struct holder *holder, int64_t token)
{
    holder->token = token;
    holder->below = 0;
    if (token > l->last_token) l->last_token = token;
}

/* The grant with this token (0: any), of this owner (0: any). One whose token is not known yet is
 * meant if it is the only one that can be; it has the token from now on. */
static struct holder *find_grant(struct lock *l, int64_t token, uint32_t owner)
{
    struct holder *open = NULL;
    int open_count = 0;
    for (uint64_t i = 0; i < l->count; i++) {
        struct holder *h = &l->holders[i];
        if (owner != 0 && h->owner != owner) continue;
        if (token == 0 || h->token == token) return h;
        if (h->token > 0 || token < -h->token || (h->below != 0 && token >= h->below)) continue;
        open = h;
        open_count++;
    }
    if (open != NULL && open_count == 1) bind_token(l, open, token);
    return open;
}

static bool is_known(const struct lock *l, int64_t token)
{
    for (uint64_t i = 0; i < l->count; i++) {
        if (l->holders[i].token == token) return true;
    }
    return false;
}

/* Can the grant stand beside this one, for all that their modes say? */
static bool gets_along(const struct operation *op, const struct holder *h)
{
    if (h->owner == op->owner || h->mode != op->mode) return false;
    return op->mode == HELD_SHARED || (op->mode == HELD_PERMITS && h->limit == op->limit);
}

/* Units that surely are out. */
static int64_t units_out(const struct lock *l, const struct model_step *step)
{
    int64_t units = 0;
    for (uint64_t i = 0; i < l->count; i++) {
        if (!may_lapse(&l->holders[i], step)) units += l->holders[i].permits;
    }
    return units;
}

/* Room for so many units: which of the lapsed ones can not have stood until now? */
static bool make_room(struct lock *l, const struct operation *op, const struct model_step *step)
{
    int64_t left = op->limit - units_out(l, step) - op->permits;
    if (left < 0) return false;
    for (uint64_t i = l->count; i > 0; i--) {
        struct holder *h = &l->holders[i - 1];
        if (may_lapse(h, step) && h->permits > left) end_grant(l, h);
    }
    return true;
}

/* All that stand in the way of a grant have lapsed, and are gone: those that exclude it, and what
 * its owner had. */
static bool clear_the_way(struct lock *l, const struct operation *op, const struct model_step *step)
{
    for (uint64_t i = l->count; i > 0; i--) {
        struct holder *h = &l->holders[i - 1];
        if (gets_along(op, h)) continue;
        if (!may_lapse(h, step)) return false;
        end_grant(l, h);
    }
    return op->mode != HELD_PERMITS || make_room(l, op, step);
}

static bool clear_all(struct lock *l, const struct model_step *step)
{
    for (uint64_t i = 0; i < l->count; i++) {
        if (!may_lapse(&l->holders[i], step)) return false;
    }
    l->count = 0;
    return true;
}

/* ------------------------------------------------------------------ acquire */

/* The holder acquires once more. STEP_NO: it is no such case. */
static enum model_verdict acquire_again(struct lock *l, const struct operation *op,
                                        struct holder *h)
{
    bool known = op->outcome == RESULT_OK;
    if (known && find_grant(l, op->token, op->owner) != h) return STEP_NO;
    if (op->version >= 2) {
        bool same = h->mode == op->mode && h->permits == op->permits && h->limit == op->limit;
        if (!op->reentrant || !same || h->count == UINT16_MAX) return STEP_NO;
        h->count++;
        if (known && op->count >= 0 && op->count != h->count) return STEP_NO;
        return STEP_YES;
    }
    if (!known) return STEP_NO; /* a retry that nobody heard of */
    if (op->lease_until_ns > h->until_ns) h->until_ns = op->lease_until_ns;
    return STEP_YES;
}

static enum model_verdict acquire_new(struct lock *l, const struct operation *op,
                                      const struct model_step *step)
{
    bool known = op->outcome == RESULT_OK;
    if (known && (op->token <= l->last_token || op->count > 1)) return STEP_NO;
    if (!clear_the_way(l, op, step)) return STEP_NO;
    if (l->count == HOLDERS_MAX) return STEP_TOO_MUCH;
    for (uint64_t i = 0; known && i < l->count; i++) {
        struct holder *h = &l->holders[i];
        if (h->token < 0 && h->below == 0) h->below = op->token;
    }
    l->last_token = known ? op->token : l->last_token + 1;
    l->holders[l->count++] = (struct holder){
        .token = known ? op->token : -l->last_token,
        .until_ns = op->lease_until_ns,
        .shown_until_ns = op->shown_until_ns,
        .owner = op->owner,
        .count = 1,
        .mode = op->mode,
        .permits = (uint32_t)op->permits,
        .limit = (uint32_t)op->limit,
    };
    return STEP_YES;
}

static enum model_verdict refuse_acquire(struct lock *l, const struct operation *op)
{
    if (op->error == ERROR_ALREADY_HELD)
        return find_grant(l, op->shown_token, op->owner) != NULL ? STEP_YES : STEP_NO;
    HF_ASSERT(op->error == ERROR_BUSY);
    struct holder *own = op->version >= 2 ? find_owner(l, op->owner) : NULL;
    if (op->shown_token == 0 && op->shown_owner == 0)
        return l->count > (own != NULL ? 1U : 0U) ? STEP_YES : STEP_NO;
    struct holder *shown = find_grant(l, op->shown_token, op->shown_owner);
    return shown != NULL && shown != own ? STEP_YES : STEP_NO;
}

static enum model_verdict acquire(struct model_state *state, const struct operation *op,
                                  const struct model_step *step)
{
    struct lock *l = look(state);
    if (op->outcome == RESULT_FAIL) return refuse_acquire(l, op);
    struct holder *own = find_owner(l, op->owner);
    if (own == NULL && step->variant != 0) return STEP_NO;
    if (own != NULL && step->variant == 0) {
        struct holder before = *own;
        int64_t last_before = l->last_token;
        enum model_verdict again = acquire_again(l, op, own);
        if (again != STEP_NO) return again;
        *own = before;
        l->last_token = last_before;
    }
    enum model_verdict verdict = acquire_new(l, op, step);
    fit(state);
    return verdict;
}

/* ------------------------------------------------------------------ under a token */

/* The grant does not stand: it never did under this name, or it has lapsed. */
static enum model_verdict not_held(struct lock *l, const struct operation *op,
                                   const struct model_step *step)
{
    for (uint64_t i = 0; i < l->count; i++) {
        struct holder *h = &l->holders[i];
        if (h->token != op->token || (op->owner != 0 && op->owner != h->owner)) continue;
        if (!may_lapse(h, step)) return STEP_NO;
        end_grant(l, h);
        break;
    }
    return STEP_YES;
}

static enum model_verdict renew(struct lock *l, const struct operation *op,
                                const struct model_step *step)
{
    if (op->outcome == RESULT_FAIL) return not_held(l, op, step);
    bool known = is_known(l, op->token);
    struct holder *h = find_grant(l, op->token, op->owner);
    if (h == NULL) return STEP_NO;
    if (op->lease_until_ns > h->until_ns) h->until_ns = op->lease_until_ns;
    if (h->permits != 0 && units_out(l, step) > h->limit) return STEP_NO;
    /* The grant stands up to this operation wherever it is put: nothing that comes before it can
     * depend on the lease being shorter. Unless it tells a token that was not known. */
    return known ? STEP_AT_ONCE : STEP_YES;
}

static enum model_verdict release(struct lock *l, const struct operation *op,
                                  const struct model_step *step)
{
    if (op->outcome == RESULT_FAIL) return not_held(l, op, step);
    bool known = op->outcome == RESULT_OK;
    struct holder *h = find_grant(l, op->token, op->owner);
    bool any = op->if_any || op->token == 0;
    if (h == NULL) return known && any ? STEP_YES : STEP_NO;
    /* One that nobody answered is needed only for what a lapse cannot do. */
    bool whole = op->version == 1 || op->all || op->token == 0 || h->count == 1;
    if (!known && (step->variant != 0 || (whole && may_lapse(h, step)))) return STEP_NO;
    if (op->version == 1 || op->all || op->token == 0) {
        end_grant(l, h);
        return STEP_YES;
    }
    h->count--;
    if (known && op->count >= 0 && op->count != h->count) return STEP_NO;
    if (h->count == 0) end_grant(l, h);
    return STEP_YES;
}

/* ------------------------------------------------------------------ changing the mode */

static enum model_verdict downgrade(struct lock *l, const struct operation *op,
                                    const struct model_step *step)
{
    if (op->outcome == RESULT_FAIL) return not_held(l, op, step);
    struct holder *h = find_grant(l, op->token, op->owner);
    if (h == NULL || h->mode == HELD_PERMITS) return STEP_NO;
    h->mode = HELD_SHARED;
    return STEP_YES;
}

/* The sole holder, or the others have lapsed. */
static enum model_verdict upgrade(struct lock *l, const struct operation *op,
                                  const struct model_step *step)
{
    if (op->error == ERROR_NOT_HELD) return not_held(l, op, step);
    const struct holder *found = find_grant(l, op->token, op->owner);
    if (found == NULL || found->mode == HELD_PERMITS) return STEP_NO;
    if (op->error == ERROR_BUSY) return l->count > 1 ? STEP_YES : STEP_NO;
    struct holder own = *found;
    own.mode = HELD_EXCLUSIVE;
    for (uint64_t i = 0; i < l->count; i++) {
        const struct holder *h = &l->holders[i];
        if (h != found && !may_lapse(h, step)) return STEP_NO;
    }
    l->holders[0] = own;
    l->count = 1;
    return STEP_YES;
}

/* ------------------------------------------------------------------ looking */

static enum model_verdict query(struct lock *l, const struct operation *op,
                                const struct model_step *step)
{
    if (!op->held) return clear_all(l, step) ? STEP_YES : STEP_NO;
    return find_grant(l, op->shown_token, op->shown_owner) != NULL ? STEP_YES : STEP_NO;
}

static enum model_verdict check(struct lock *l, const struct operation *op,
                                const struct model_step *step)
{
    if (op->status == STATUS_FREE) return clear_all(l, step) ? STEP_YES : STEP_NO;
    if (op->status == STATUS_VALID) return find_grant(l, op->token, 0) != NULL ? STEP_YES : STEP_NO;
    if (not_held(l, op, step) == STEP_NO) return STEP_NO;
    return l->count > 0 ? STEP_YES : STEP_NO;
}

static enum model_verdict take(struct model_state *state, const struct operation *op,
                               const struct model_step *step)
{
    struct lock *l = look(state);
    enum model_verdict verdict = STEP_NO;
    switch ((enum operation_kind)op->kind) {
    case KIND_ACQUIRE: return acquire(state, op, step);
    case KIND_LOCK_RENEW: verdict = renew(l, op, step); break;
    case KIND_RELEASE: verdict = release(l, op, step); break;
    case KIND_DOWNGRADE: verdict = downgrade(l, op, step); break;
    case KIND_UPGRADE: verdict = upgrade(l, op, step); break;
    case KIND_QUERY: verdict = query(l, op, step); break;
    case KIND_CHECK: verdict = check(l, op, step); break;
    default: HF_UNREACHABLE();
    }
    fit(state);
    return verdict;
}

static void leave_out(struct model_state *state, const struct model_step *step)
{
    struct lock *l = look(state);
    for (uint64_t i = l->count; i > 0; i--) {
        struct holder *h = &l->holders[i - 1];
        if (may_lapse(h, step) && step->now_ns > h->shown_until_ns) end_grant(l, h);
    }
    fit(state);
}

/* A release (or downgrade) of a token that was given out and has gone. */
static bool is_over(const struct model_state *state, const struct operation *op)
{
    const struct lock *l = look(state);
    bool ends = op->kind == KIND_RELEASE || op->kind == KIND_DOWNGRADE;
    if (!ends || op->token == 0 || op->token > l->last_token) return false;
    for (uint64_t i = 0; i < l->count; i++) {
        if (l->holders[i].token == op->token || l->holders[i].token < 0) return false;
    }
    return true;
}

/* What its owner may have, or not; and a mode that it has already. */
static bool sets_whatever_was(const struct operation *op)
{
    return (op->kind == KIND_RELEASE && (op->if_any || op->token == 0)) ||
           op->kind == KIND_DOWNGRADE || op->kind == KIND_UPGRADE;
}

static int64_t rank_of(const struct operation *op)
{
    bool again = op->reentrant && op->count != 1; /* an old token, perhaps */
    return op->kind == KIND_ACQUIRE && op->outcome == RESULT_OK && !again ? op->token : 0;
}

static void tell_mode(const struct holder *h, struct buffer *out)
{
    if (h->mode == HELD_PERMITS)
        model_say(out, "%" PRIu32 " of %" PRIu32 " permits", h->permits, h->limit);
    else
        model_say(out, "%s", h->mode == HELD_SHARED ? "shared" : "held");
}

static void tell(const struct history *h, const struct model_state *state, struct buffer *out)
{
    const struct lock *l = look(state);
    char text[32];
    if (l->count == 0) model_say(out, "free");
    for (uint64_t i = 0; i < l->count; i++) {
        const struct holder *holder = &l->holders[i];
        if (i > 0) model_say(out, "; ");
        tell_mode(holder, out);
        model_say(out, " by %s, token ", strings_text(&h->strings, holder->owner));
        if (holder->token > 0)
            model_say(out, "%" PRId64, holder->token);
        else
            model_say(out, "not known");
        if (holder->count > 1) model_say(out, ", %u times", (unsigned)holder->count);
        model_say(out, ", until %s at least", model_time(holder->until_ns, text));
    }
    model_say(out, "; greatest token %" PRId64, l->last_token);
}

const struct model model_lock = {
    .name = "lock",
    .init = start,
    .step = take,
    .tidy = leave_out,
    .is_dead = is_over,
    .may_wait = sets_whatever_was,
    .rank = rank_of,
    .prepare = lock_prepare,
    .whole = lock_whole,
    .quick = lock_quick,
    .describe = tell,
};

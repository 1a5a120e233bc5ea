/* Deadlocks that a history tells of: was there one? An acquire was refused because its wait would
 * have closed a circle of owners; whoever is told so gives up what it holds, so that a verdict
 * without a circle takes work from somebody for nothing. At some moment between call and return
 *
 *   the asker held something, or nobody could wait for it;
 *   each owner of the circle waited for one of the names that the next one held, or had asked for
 *   before it. Permits, other than one of one, are nobody's: they close no circle.
 *
 * What can have been so is taken to have been so: an answer that is not known, a lapse that nobody
 * saw. A circle that was not told of is not looked for. */
#include <inttypes.h>
#include <stdlib.h>

#include "jepsen/check/model_lock.h"

/* All acquires by owner, and the ends of grants by name and token. */
struct view {
    const struct history *history;
    const struct operation **asked; /* owned: acquires by owner and call */
    const struct operation **ended; /* owned: what shows the end of a grant, by key and token */
    size_t asked_count;
    size_t ended_count;
};

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int by_owner(const void *a, const void *b)
{
    const struct operation *x = *(const struct operation *const *)a;
    const struct operation *y = *(const struct operation *const *)b;
    int order = compare(x->owner, y->owner);
    return order != 0 ? order : compare(x->call_ns, y->call_ns);
}

static int by_grant(const void *a, const void *b)
{
    const struct operation *x = *(const struct operation *const *)a;
    const struct operation *y = *(const struct operation *const *)b;
    int order = compare(x->key, y->key);
    if (order == 0) order = compare(x->token, y->token);
    return order != 0 ? order : compare(x->return_ns, y->return_ns);
}

/* The grant of its token has gone when it is answered. */
static bool shows_end(const struct operation *op)
{
    if (op->token == 0 || op->outcome == RESULT_UNKNOWN) return false;
    if (op->error == ERROR_NOT_HELD) return true;
    return op->kind == KIND_RELEASE && (op->all || op->count <= 0);
}

static void view_open(struct view *v, const struct history *h)
{
    *v = (struct view){.history = h};
    v->asked = calloc(h->count + h->wait_count + 1, sizeof(struct operation *));
    v->ended = calloc(h->count + 1, sizeof(struct operation *));
    HF_ASSERT(v->asked != NULL && v->ended != NULL);
    for (size_t i = 0; i < h->count; i++) {
        const struct operation *op = &h->operations[i];
        if (op->kind == KIND_ACQUIRE)
            v->asked[v->asked_count++] = op;
        else if (shows_end(op))
            v->ended[v->ended_count++] = op;
    }
    for (size_t i = 0; i < h->wait_count; i++) v->asked[v->asked_count++] = &h->waits[i];
    qsort(v->asked, v->asked_count, sizeof(struct operation *), by_owner);
    qsort(v->ended, v->ended_count, sizeof(struct operation *), by_grant);
}

static void view_close(struct view *v)
{
    free(v->asked);
    free(v->ended);
}

/* Index of the owner's first acquire. */
static size_t first_of(const struct view *v, uint32_t owner)
{
    size_t low = 0, high = v->asked_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (v->asked[middle]->owner < owner)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* When the grant of this acquire had surely gone; OPERATION_NEVER = nobody saw that. */
static int64_t end_of(const struct view *v, const struct operation *grant)
{
    size_t low = 0, high = v->ended_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct operation *op = v->ended[middle];
        if (op->key < grant->key || (op->key == grant->key && op->token < grant->token))
            low = middle + 1;
        else
            high = middle;
    }
    if (low == v->ended_count) return OPERATION_NEVER;
    const struct operation *end = v->ended[low];
    return end->key == grant->key && end->token == grant->token ? end->return_ns : OPERATION_NEVER;
}

static bool closes_circles(const struct operation *acquire)
{
    return acquire->mode != HELD_PERMITS || acquire->limit == 1;
}

/* Can it have waited at a moment of the verdict? */
static bool may_wait(const struct operation *op, const struct operation *verdict)
{
    return op->call_ns <= verdict->return_ns && op->return_ns >= verdict->call_ns;
}

/* Can what it asked for have been held at a moment of the verdict? */
static bool may_hold(const struct view *v, const struct operation *op,
                     const struct operation *verdict)
{
    if (op->call_ns > verdict->return_ns || op->outcome == RESULT_FAIL) return false;
    return op->outcome == RESULT_UNKNOWN || end_of(v, op) >= verdict->call_ns;
}

/* Can the owner have stood in the way of whoever wants this name? \param key 0 = any. */
static bool may_stand(const struct view *v, uint32_t owner, uint32_t key, bool waiting,
                      const struct operation *verdict)
{
    for (size_t i = first_of(v, owner); i < v->asked_count && v->asked[i]->owner == owner; i++) {
        const struct operation *op = v->asked[i];
        if (op->call_ns > verdict->return_ns) break;
        if ((key != 0 && op->key != key) || !closes_circles(op)) continue;
        if (may_hold(v, op, verdict) || (waiting && may_wait(op, verdict))) return true;
    }
    return false;
}

static bool may_wait_for(const struct view *v, uint32_t owner, uint32_t next,
                         const struct operation *verdict)
{
    for (size_t i = first_of(v, owner); i < v->asked_count && v->asked[i]->owner == owner; i++) {
        const struct operation *op = v->asked[i];
        if (op->call_ns > verdict->return_ns) break;
        if (may_wait(op, verdict) && closes_circles(op) &&
            may_stand(v, next, op->key, true, verdict))
            return true;
    }
    return false;
}

static bool complain(const struct view *v, const struct operation *op, uint32_t owner,
                     const char *what, struct buffer *complaint)
{
    const struct strings *s = &v->history->strings;
    char at[32];
    model_say(complaint, "%s was told of a deadlock at %s (line %" PRIu32 "), but %s %s\n",
              strings_text(s, op->owner), model_time(op->return_ns, at), op->line,
              strings_text(s, owner), what);
    return false;
}

/* \param op  an acquire that was refused; of several names it is there once for each. */
static bool judge(const struct view *v, const struct operation *op, struct buffer *complaint)
{
    const uint32_t *cycle = op->cycle_count > 0 ? v->history->cycles + op->cycle_at : NULL;
    if (!may_stand(v, op->owner, 0, false, op))
        return complain(v, op, op->owner, "can have held nothing", complaint);
    if (cycle != NULL && cycle[0] != op->owner)
        return complain(v, op, cycle[0], "is the first of the circle", complaint);
    for (uint32_t i = 0; cycle != NULL && i < op->cycle_count; i++) {
        bool last = i + 1 == op->cycle_count;
        if (last && op->cycle_is_cut) break; /* it waits for somebody who is not told */
        if (!may_wait_for(v, cycle[i], cycle[last ? 0 : i + 1], op))
            return complain(v, op, cycle[i], "can not have waited for the next", complaint);
    }
    return true;
}

bool lock_whole(const struct history *h, struct buffer *complaint)
{
    struct view v;
    bool fine = true;
    view_open(&v, h);
    for (size_t i = 0; i < v.asked_count && fine; i++) {
        if (v.asked[i]->error == ERROR_DEADLOCK) fine = judge(&v, v.asked[i], complaint);
    }
    view_close(&v);
    return fine;
}

/* The search, depth first with undo. Operations not in order yet are in doubly linked lists, from
 * which one is taken out, and into which it is put back in the opposite order (Knuth's dancing
 * links): by call, by return, by rank; those of unknown outcome by call alone. The stack has one
 * frame for each operation that was put in order; states are bytes in a stack of their own.
 *
 * Failure modes: time or memory ends it undecided. */
#include "jepsen/check/search.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/status.h"
#include "jepsen/check/seen.h"

enum {
    NOBODY = 0,                 /* operations are 1 .. count; 0 is each list's head */
    STEPS_BETWEEN_LOOKS = 4096, /* at is_over() */
    FRAMES_FIRST = 256
};

enum { BY_CALL, BY_RETURN, BY_RANK, UNKNOWN, LIST_COUNT };

struct link {
    uint32_t next;
    uint32_t prev;
};

/* What was put in order, and what may still be tried behind it. */
struct frame {
    size_t state_at; /* where its state begins in `states` */
    uint32_t state_bytes;
    uint32_t operation; /* that led here; NOBODY for the first */
    uint32_t tried;     /* the one that was tried last */
    uint32_t dead;      /* unknown ones that were put aside here, a chain through `aside` */
    uint8_t stage;      /* enum stage */
    uint8_t variant;    /* of the one that was tried last: an unknown one has two */
};

enum stage { FRESH, FIRST_RETURN, OTHERS, UNKNOWNS, EXHAUSTED };

struct search {
    const struct model *model;
    const struct key_history *key;
    const struct search_limits *limits;
    struct search_result *result;
    struct link *lists[LIST_COUNT]; /* owned, count + 1 each */
    struct hash128 *marks;          /* owned: one random number an operation */
    uint32_t *aside;                /* owned: chains of dead unknown operations */
    int64_t *return_order;          /* owned: position in the order of returns */
    struct frame *frames;           /* owned */
    size_t depth;                   /* of them in use */
    size_t frame_room;
    struct buffer states;
    struct seen seen;
    struct hash128 set; /* of what is in order, or dead */
    int64_t furthest;   /* greatest return_order that was stuck */
    uint64_t steps;     /* to look at is_over() */
    struct model_state draft;
};

/* ------------------------------------------------------------------ lists */

static const struct operation *at(const struct search *s, uint32_t number)
{
    HF_ASSERT(number != NOBODY);
    return &s->key->operations[number - 1];
}

static void append(struct link *list, uint32_t number)
{
    uint32_t last = list[NOBODY].prev;
    list[number] = (struct link){NOBODY, last};
    list[last].next = number;
    list[NOBODY].prev = number;
}

static void take_out(struct link *list, uint32_t number)
{
    list[list[number].prev].next = list[number].next;
    list[list[number].next].prev = list[number].prev;
}

static void put_back(struct link *list, uint32_t number)
{
    list[list[number].prev].next = number;
    list[list[number].next].prev = number;
}

static void toggle(struct search *s, uint32_t number)
{
    s->set.high ^= s->marks[number].high;
    s->set.low ^= s->marks[number].low;
}

static void put_in_order(struct search *s, uint32_t number)
{
    const struct operation *op = at(s, number);
    toggle(s, number);
    if (op->outcome == RESULT_UNKNOWN) {
        take_out(s->lists[UNKNOWN], number);
        return;
    }
    take_out(s->lists[BY_CALL], number);
    take_out(s->lists[BY_RETURN], number);
    if (s->model->rank(op) != 0) take_out(s->lists[BY_RANK], number);
}

static void undo_order(struct search *s, uint32_t number)
{
    const struct operation *op = at(s, number);
    toggle(s, number);
    if (op->outcome == RESULT_UNKNOWN) {
        put_back(s->lists[UNKNOWN], number);
        return;
    }
    if (s->model->rank(op) != 0) put_back(s->lists[BY_RANK], number);
    put_back(s->lists[BY_RETURN], number);
    put_back(s->lists[BY_CALL], number);
}

/* ------------------------------------------------------------------ setting up */

struct ranked {
    int64_t order;
    uint32_t number;
};

static int by_order(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

/* Fill BY_RETURN or BY_RANK. */
static int fill_sorted(struct search *s, int list)
{
    struct ranked *sorted = calloc(s->key->count + 1, sizeof *sorted);
    size_t count = 0;
    if (sorted == NULL) return HF_ENOMEM;
    for (uint32_t n = 1; n <= s->key->count; n++) {
        const struct operation *op = at(s, n);
        int64_t order = list == BY_RETURN ? op->return_ns : s->model->rank(op);
        if (op->outcome == RESULT_UNKNOWN || (list == BY_RANK && order == 0)) continue;
        sorted[count++] = (struct ranked){order, n};
    }
    qsort(sorted, count, sizeof *sorted, by_order);
    for (size_t i = 0; i < count; i++) {
        append(s->lists[list], sorted[i].number);
        if (list == BY_RETURN) s->return_order[sorted[i].number] = (int64_t)i;
    }
    free(sorted);
    return HF_OK;
}

static int set_up(struct search *s)
{
    size_t places = s->key->count + 1;
    for (int i = 0; i < LIST_COUNT; i++) {
        s->lists[i] = calloc(places, sizeof *s->lists[i]);
        if (s->lists[i] == NULL) return HF_ENOMEM;
    }
    s->marks = calloc(places, sizeof *s->marks);
    s->aside = calloc(places, sizeof *s->aside);
    s->return_order = calloc(places, sizeof *s->return_order);
    if (s->marks == NULL || s->aside == NULL || s->return_order == NULL) return HF_ENOMEM;
    for (uint32_t n = 1; n <= s->key->count; n++) {
        s->marks[n] = hash128(1, &n, sizeof n);
        append(s->lists[at(s, n)->outcome == RESULT_UNKNOWN ? UNKNOWN : BY_CALL], n);
    }
    int rv = fill_sorted(s, BY_RETURN);
    return rv == HF_OK ? fill_sorted(s, BY_RANK) : rv;
}

static void clean_up(struct search *s)
{
    for (int i = 0; i < LIST_COUNT; i++) free(s->lists[i]);
    free(s->marks);
    free(s->aside);
    free(s->return_order);
    free(s->frames);
    buffer_close(&s->states);
    seen_close(&s->seen);
}

/* The first to return of what is not in order yet; NOBODY = all that is known is. */
static uint32_t first_return(const struct search *s)
{
    return s->lists[BY_RETURN][NOBODY].next;
}

static int64_t latest_moment(const struct search *s)
{
    return at(s, first_return(s))->return_ns;
}

/* ------------------------------------------------------------------ frames */

static int push(struct search *s, uint32_t operation)
{
    if (s->depth == s->frame_room) {
        size_t room = s->frame_room == 0 ? FRAMES_FIRST : s->frame_room * 2;
        struct frame *frames = realloc(s->frames, room * sizeof *frames);
        if (frames == NULL) return HF_ENOMEM;
        s->frames = frames;
        s->frame_room = room;
    }
    struct frame f = {.operation = operation, .stage = FRESH};
    const struct frame *top = s->depth > 0 ? &s->frames[s->depth - 1] : NULL;
    if (operation != NOBODY) put_in_order(s, operation);
    if (s->model->tidy != NULL && first_return(s) != NOBODY) {
        struct model_step step = {.now_ns = latest_moment(s), .clock = &s->key->history->clock};
        s->model->tidy(&s->draft, &step);
    }
    if (top != NULL && top->state_bytes == s->draft.size &&
        memcmp(s->states.data + top->state_at, s->draft.bytes, s->draft.size) == 0) {
        f.state_at = top->state_at;
        f.state_bytes = top->state_bytes;
    } else {
        f.state_at = s->states.size;
        f.state_bytes = (uint32_t)s->draft.size;
        int rv = buffer_append(&s->states, s->draft.bytes, s->draft.size);
        if (rv != HF_OK) return rv;
    }
    HF_ASSERT(s->frames != NULL);
    s->frames[s->depth++] = f;
    return HF_OK;
}

static void pop(struct search *s)
{
    HF_ASSERT(s->depth > 0 && s->frames != NULL);
    struct frame *f = &s->frames[--s->depth];
    while (f->dead != NOBODY) {
        uint32_t number = f->dead;
        f->dead = s->aside[number];
        toggle(s, number);
        put_back(s->lists[UNKNOWN], number);
    }
    if (f->operation != NOBODY) undo_order(s, f->operation);
    bool shared = s->depth > 0 && s->frames[s->depth - 1].state_at == f->state_at;
    if (!shared) s->states.size = f->state_at;
}

static void load_state(struct search *s, const struct frame *f)
{
    s->draft.size = f->state_bytes;
    memcpy(s->draft.bytes, s->states.data + f->state_at, f->state_bytes);
}

/* ------------------------------------------------------------------ one step */

/* Its rank's turn is now: no smaller one is to come. */
static bool is_in_turn(const struct search *s, const struct operation *op)
{
    int64_t rank = s->model->rank(op);
    if (rank == 0 || op->outcome == RESULT_UNKNOWN) return true;
    return s->model->rank(at(s, s->lists[BY_RANK][NOBODY].next)) == rank;
}

/* Does the operation fit behind this frame? Then `draft` is the state behind it. */
static enum model_verdict try(struct search *s, const struct frame *f, uint32_t number, int variant)
{
    const struct operation *op = at(s, number);
    struct model_step step = {latest_moment(s), &s->key->history->clock, variant};
    if (!is_in_turn(s, op)) return STEP_NO;
    s->steps++;
    load_state(s, f);
    enum model_verdict verdict = s->model->step(&s->draft, op, &step);
    if (verdict != STEP_YES) return verdict;
    bool same = s->draft.size == f->state_bytes &&
                memcmp(s->draft.bytes, s->states.data + f->state_at, f->state_bytes) == 0;
    if (!same) return STEP_YES;
    /* What changes nothing fits at once if it is known, and is of no use if it is not. */
    if (op->outcome == RESULT_UNKNOWN) return STEP_NO;
    bool waits = s->model->may_wait != NULL && s->model->may_wait(op);
    return waits ? STEP_YES : STEP_AT_ONCE;
}

/* One that fits as well at once as ever; NOBODY = none. */
static uint32_t find_at_once(struct search *s, const struct frame *f, bool *too_much)
{
    int64_t latest_ns = latest_moment(s);
    const struct link *list = s->lists[BY_CALL];
    for (uint32_t n = list[NOBODY].next; n != NOBODY && at(s, n)->call_ns <= latest_ns;
         n = list[n].next) {
        enum model_verdict verdict = try(s, f, n, 0);
        if (verdict == STEP_AT_ONCE) return n;
        if (verdict == STEP_TOO_MUCH) *too_much = true;
    }
    return NOBODY;
}

/* Unknown ones that can have no effect from here on do not tell places apart. */
static void put_dead_aside(struct search *s, struct frame *f)
{
    int64_t latest_ns = latest_moment(s);
    const struct link *list = s->lists[UNKNOWN];
    uint32_t next;
    load_state(s, f);
    for (uint32_t n = list[NOBODY].next; n != NOBODY && at(s, n)->call_ns <= latest_ns; n = next) {
        next = list[n].next;
        bool useful = at(s, n)->useful_until_ns >= latest_ns;
        if (useful && !s->model->is_dead(&s->draft, at(s, n))) continue;
        take_out(s->lists[UNKNOWN], n);
        toggle(s, n);
        s->aside[n] = f->dead;
        f->dead = n;
    }
}

/* The unknown one that was called last of those that were called by now; they are tried backwards,
 * as what was called lately explains more. */
static uint32_t last_unknown(const struct search *s)
{
    int64_t latest_ns = latest_moment(s);
    const struct link *list = s->lists[UNKNOWN];
    uint32_t n = list[NOBODY].next, last = NOBODY;
    for (; n != NOBODY && at(s, n)->call_ns <= latest_ns; n = list[n].next) last = n;
    return last;
}

/* The next one to be tried behind this frame; NOBODY = there is none left. */
static uint32_t next_candidate(struct search *s, struct frame *f)
{
    int64_t latest_ns = latest_moment(s);
    uint32_t first = first_return(s);
    if (f->stage == FRESH) {
        f->stage = FIRST_RETURN;
        f->tried = NOBODY;
        return first;
    }
    if (f->stage == FIRST_RETURN) f->stage = OTHERS;
    if (f->stage == OTHERS) {
        do {
            f->tried = s->lists[BY_CALL][f->tried].next;
        } while (f->tried == first && f->tried != NOBODY);
        if (f->tried != NOBODY && at(s, f->tried)->call_ns <= latest_ns) return f->tried;
        f->stage = UNKNOWNS;
        f->tried = NOBODY;
    }
    if (f->stage == UNKNOWNS && f->tried != NOBODY && f->variant == 0) {
        f->variant = 1;
        return f->tried;
    }
    if (f->stage == UNKNOWNS) {
        f->tried = f->tried == NOBODY ? last_unknown(s) : s->lists[UNKNOWN][f->tried].prev;
        f->variant = 0;
        if (f->tried != NOBODY) return f->tried;
        f->stage = EXHAUSTED;
    }
    return NOBODY;
}

static void note_furthest(struct search *s, const struct frame *f)
{
    uint32_t first = first_return(s);
    if (s->return_order[first] <= s->furthest) return;
    s->furthest = s->return_order[first];
    s->result->stuck = at(s, first);
    load_state(s, f);
    s->result->state = s->draft;
}

static struct hash128 place_of(const struct search *s, const struct frame *f)
{
    struct hash128 place = hash128(2, s->states.data + f->state_at, f->state_bytes);
    return (struct hash128){place.high ^ s->set.high, place.low ^ s->set.low};
}

/* ------------------------------------------------------------------ the search */

static void undecided(struct search *s, const char *why)
{
    s->result->verdict = SEARCH_UNDECIDED;
    s->result->undecided = why;
}

/* Arrive at a frame: take what fits at once, or see whether the place is a new one.
 * \return HF_OK: go on from the top; HF_EEXIST: nothing to be found behind it. */
static int arrive(struct search *s, struct frame *f)
{
    bool too_much = false, fresh = false;
    put_dead_aside(s, f);
    uint32_t at_once = find_at_once(s, f, &too_much);
    if (too_much) return HF_ETOOLARGE;
    if (at_once != NOBODY) {
        f->stage = EXHAUSTED; /* no alternative to it */
        (void)try(s, f, at_once, 0);
        return push(s, at_once);
    }
    note_furthest(s, f);
    s->result->place_count++;
    int rv = seen_add(&s->seen, place_of(s, f), &fresh);
    if (rv != HF_OK) return rv;
    return fresh ? HF_OK : HF_EEXIST;
}

/* Try candidates until one fits, or none is left: then HF_ENOTFOUND. */
static int branch(struct search *s, struct frame *f)
{
    uint32_t number;
    while ((number = next_candidate(s, f)) != NOBODY) {
        enum model_verdict verdict = try(s, f, number, f->variant);
        if (verdict == STEP_TOO_MUCH) return HF_ETOOLARGE;
        if (verdict != STEP_NO) return push(s, number);
    }
    return HF_ENOTFOUND;
}

static int advance(struct search *s)
{
    struct frame *f = &s->frames[s->depth - 1];
    size_t depth = s->depth;
    int rv = f->stage == FRESH ? arrive(s, f) : HF_OK;
    if (rv == HF_OK && s->depth == depth) rv = f->stage == EXHAUSTED ? HF_ENOTFOUND : branch(s, f);
    if (rv != HF_EEXIST && rv != HF_ENOTFOUND) return rv;
    pop(s);
    return HF_OK;
}

static void search(struct search *s)
{
    uint64_t looked = 0;
    s->model->init(&s->draft);
    int rv = push(s, NOBODY);
    while (rv == HF_OK && s->depth > 0 && first_return(s) != NOBODY) {
        rv = advance(s);
        if (s->steps - looked < STEPS_BETWEEN_LOOKS) continue;
        looked = s->steps;
        if (s->limits->is_over != NULL && s->limits->is_over(s->limits->data)) {
            undecided(s, "time");
            return;
        }
    }
    if (rv == HF_ETOOLARGE || rv == HF_ENOMEM) {
        undecided(s, "memory");
        return;
    }
    HF_ASSERT(rv == HF_OK);
    s->result->verdict = s->depth > 0 ? SEARCH_FITS : SEARCH_FAILS;
}

void search_run(const struct model *model, const struct key_history *key,
                const struct search_limits *limits, struct search_result *result)
{
    struct search s = {
        .model = model, .key = key, .limits = limits, .result = result, .furthest = -1};
    *result = (struct search_result){.verdict = SEARCH_FITS};
    buffer_init(&s.states, limits->bytes_max / 2);
    seen_init(&s.seen, limits->bytes_max / 2);
    if (set_up(&s) == HF_OK)
        search(&s);
    else
        undecided(&s, "memory");
    clean_up(&s);
}

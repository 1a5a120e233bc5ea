/* The search for a cycle. Happy path: who is about to wait holds nothing, so nobody can wait for
 * it, and one look at an index says so. Otherwise owners are visited breadth first, in the order
 * of names, holders and places in the queue, so that the cycle that is told is a shortest one and
 * the same on every server: from a waiter to whoever holds one of its names in a mode that excludes
 * it, and to every older waiter there, whom it may not pass.
 *
 * Each queue is walked once, up to the youngest place that was asked for, so that a search costs as
 * many steps as it meets names, holders and waiters. Failure mode: more of them than
 * DEADLOCK_STEPS_MAX; then there is no verdict, and the wait's end decides. */
#include "machine/deadlock.h"

#include "base/planted.h"
#include "machine/grants.h"
#include "machine/parked.h"

enum {
    SLOTS_FIRST = 64, /* of a table; it doubles when it is half full */
};

/* An owner that the requester would wait for, directly or through others. */
struct node {
    uint64_t session;
    uint64_t owner;
    uint64_t seq;    /* of the ACQUIRE it waits for; 0 = not looked up yet */
    uint32_t parent; /* who waits for it */
};

/* A name that was looked at. */
struct place {
    struct slice name;  /* in `keep` */
    uint64_t below;     /* waiters with smaller tickets are visited */
    bool holders_taken; /* they are visited */
};

/* Numbers of items by hash: open addressing, 0 = empty, else 1 + the item's number. */
struct table {
    uint32_t *slots; /* in `keep` */
    uint32_t size;   /* a power of two */
};

struct search {
    struct machine *m;
    struct node *nodes; /* in `keep`; the first is the requester */
    uint32_t node_count;
    struct place *places; /* in `keep` */
    uint32_t place_count;
    struct table by_owner; /* of nodes */
    struct table by_name;  /* of places */
    uint32_t steps;        /* taken */
    bool is_cut;           /* too many steps */
    bool is_closed;        /* a cycle: the node `last` waits for the requester */
    uint32_t last;
};

/* ------------------------------------------------------------------ what was visited */

static int make_table(struct machine *m, uint32_t size, struct table *t)
{
    t->slots = arena_take(&m->keep, size * sizeof *t->slots);
    if (t->slots == NULL) return HF_ENOMEM;
    memset(t->slots, 0, size * sizeof *t->slots);
    t->size = size;
    return HF_OK;
}

static uint32_t hash_owner(uint64_t session, uint64_t owner)
{
    uint8_t bytes[16];
    put_u64(bytes, session);
    put_u64(bytes + 8, owner);
    return (uint32_t)hash128(0, bytes, sizeof bytes).low;
}

static uint32_t hash_name(struct slice name)
{
    return (uint32_t)hash128(0, name.data, name.size).low;
}

/* Where an item of this hash may stand from slot `at` on. */
static uint32_t slot_of(const struct table *t, uint32_t at)
{
    return at & (t->size - 1);
}

static void put_slot(struct table *t, uint32_t hash, uint32_t item)
{
    uint32_t at = hash;
    while (t->slots[slot_of(t, at)] != 0) at++;
    t->slots[slot_of(t, at)] = item + 1;
}

static int grow_owners(struct search *s)
{
    if (s->node_count * 2 < s->by_owner.size) return HF_OK;
    int rv = make_table(s->m, s->by_owner.size * 2, &s->by_owner);
    for (uint32_t i = 0; rv == HF_OK && i < s->node_count; i++)
        put_slot(&s->by_owner, hash_owner(s->nodes[i].session, s->nodes[i].owner), i);
    return rv;
}

static int grow_names(struct search *s)
{
    if (s->place_count * 2 < s->by_name.size) return HF_OK;
    int rv = make_table(s->m, s->by_name.size * 2, &s->by_name);
    for (uint32_t i = 0; rv == HF_OK && i < s->place_count; i++)
        put_slot(&s->by_name, hash_name(s->places[i].name), i);
    return rv;
}

/* `parent` waits for this owner. */
static int visit(struct search *s, uint32_t parent, uint64_t session, uint64_t owner, uint64_t seq)
{
    const struct node *requester = &s->nodes[0];
    if (session == requester->session && owner == requester->owner) {
        s->is_closed = true;
        s->last = parent;
        return HF_OK;
    }
    HF_ASSERT(session != 0 && owner != 0);
    const struct table *t = &s->by_owner;
    uint32_t hash = hash_owner(session, owner);
    for (uint32_t at = hash; t->slots[slot_of(t, at)] != 0; at++) {
        const struct node *n = &s->nodes[t->slots[slot_of(t, at)] - 1];
        if (n->session == session && n->owner == owner) return HF_OK;
    }
    int rv = grow_owners(s);
    if (rv != HF_OK) return rv;
    put_slot(&s->by_owner, hash, s->node_count);
    s->nodes[s->node_count++] =
        (struct node){.session = session, .owner = owner, .seq = seq, .parent = parent};
    HF_ASSERT(s->node_count <= DEADLOCK_STEPS_MAX + 1);
    return HF_OK;
}

static int find_place(struct search *s, struct slice name, struct place **place)
{
    const struct table *t = &s->by_name;
    uint32_t hash = hash_name(name);
    for (uint32_t at = hash; t->slots[slot_of(t, at)] != 0; at++) {
        *place = &s->places[t->slots[slot_of(t, at)] - 1];
        if (slice_equal((*place)->name, name)) return HF_OK;
    }
    int rv = grow_names(s);
    uint8_t *copy = arena_take(&s->m->keep, name.size);
    if (rv != HF_OK || copy == NULL) return HF_ENOMEM;
    memcpy(copy, name.data, name.size);
    put_slot(&s->by_name, hash, s->place_count);
    *place = &s->places[s->place_count++];
    **place = (struct place){.name = slice_make(copy, name.size)};
    HF_ASSERT(s->place_count <= DEADLOCK_STEPS_MAX);
    return HF_OK;
}

/* False: that was the last step. */
static bool take_step(struct search *s)
{
    s->is_cut = s->steps == DEADLOCK_STEPS_MAX;
    if (!s->is_cut) s->steps += 1;
    return !s->is_cut;
}

/* ------------------------------------------------------------------ who stands in the way */

/* Who takes some of several permits is no edge, neither to it nor from it: it waits for any of the
 * holders, not for all of them. */
static bool is_one_of_many(uint64_t limit)
{
    return limit > 1 && limit != LIMIT_ENDLESS;
}

static int visit_holders(struct search *s, uint32_t waiter, struct slice name,
                         const struct row_lock *lock)
{
    struct holders h;
    int rv = holders_first(&h, s->m, name, lock);
    for (; rv == HF_OK && !s->is_closed && take_step(s); rv = holders_next(&h)) {
        struct row_grant grant;
        rv = grant_get(s->m, h.token, &grant);
        if (rv == HF_ENOTFOUND) rv = HF_ECORRUPT;
        if (rv == HF_OK) rv = visit(s, waiter, grant.session, grant.owner, 0);
        if (rv != HF_OK) break;
    }
    holders_close(&h);
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* Those who are older than `ticket`. */
static int visit_waiters(struct search *s, uint32_t waiter, struct place *place,
                         const struct row_lock *lock, uint64_t ticket)
{
    HF_ASSERT(ticket > place->below);
    uint64_t first = place->below > lock->queue_first ? place->below : lock->queue_first;
    struct row_key prefix = row_key_name_prefix(place->name);
    struct row_key from = row_key_queue(place->name, first);
    struct walk walk;
    int rv = walk_first(&walk, s->m, TABLE_LOCK_QUEUE, &prefix, &from);
    for (; rv == HF_OK; rv = walk_next(&walk)) {
        struct parked p;
        if (row_key_last(walk.key) >= ticket || s->is_closed || !take_step(s)) break;
        if (walk.value.size != 16) rv = HF_ECORRUPT;
        uint64_t session = rv == HF_OK ? get_u64(walk.value.data) : 0;
        if (rv == HF_OK) rv = parked_get(s->m, session, get_u64(walk.value.data + 8), &p);
        struct msg_acquire acquire = {.limit = 0};
        if (rv == HF_OK) rv = parked_request(s->m, &p, &acquire);
        if (rv == HF_ENOTFOUND) rv = HF_ECORRUPT;
        if (rv == HF_OK && !is_one_of_many(acquire.limit))
            rv = visit(s, waiter, session, p.row.owner, p.seq);
        if (rv != HF_OK) break;
    }
    walk_close(&walk);
    place->below = ticket;
    return rv == HF_ENOTFOUND ? HF_OK : rv;
}

/* One of the names of a waiter. */
static int look_at_name(struct search *s, uint32_t waiter, const struct msg_acquire *acquire,
                        struct slice name, const struct row_lock *lock, uint64_t ticket)
{
    if (is_one_of_many(acquire->limit) || !take_step(s)) return HF_OK;
    struct place *place;
    int rv = find_place(s, name, &place);
    bool excludes = lock->mode != MODE_SHARED || acquire->mode != MODE_SHARED;
    if (lock->mode == MODE_PERMITS && is_one_of_many(lock->limit)) excludes = false;
    if (rv == HF_OK && lock->holder_count > 0 && excludes && !place->holders_taken) {
        place->holders_taken = true;
        rv = visit_holders(s, waiter, name, lock);
    }
    if (planted(DEADLOCK_MISSED) || rv != HF_OK || lock->queue_length == 0) return rv;
    return ticket > place->below ? visit_waiters(s, waiter, place, lock, ticket) : HF_OK;
}

/* ------------------------------------------------------------------ the search */

/* Whom a visited owner waits for, if it waits. */
static int look_at_node(struct search *s, uint32_t at)
{
    HF_ASSERT(at >= 1 && at < s->node_count);
    struct node *node = &s->nodes[at];
    struct row_key key = row_key_pair(node->session, node->owner);
    struct parked p;
    struct msg_acquire acquire;
    int rv = HF_OK;
    if (node->seq == 0) rv = state_get_u64(s->m, TABLE_OWNERS, row_key_slice(&key), &node->seq);
    if (rv == HF_ENOTFOUND) return HF_OK;
    if (rv == HF_OK) rv = parked_get(s->m, node->session, node->seq, &p);
    if (rv == HF_OK) rv = parked_request(s->m, &p, &acquire);
    for (uint32_t i = 0; rv == HF_OK && !s->is_closed && i < acquire.names.count; i++) {
        struct row_lock lock;
        rv = lock_get(s->m, acquire.names.items[i], &lock);
        if (rv == HF_OK)
            rv = look_at_name(s, at, &acquire, acquire.names.items[i], &lock, p.row.ticket);
    }
    return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
}

static int begin(struct search *s, struct machine *m, uint64_t owner)
{
    *s = (struct search){.m = m};
    s->nodes = arena_take(&m->keep, (DEADLOCK_STEPS_MAX + 1) * sizeof *s->nodes);
    s->places = arena_take(&m->keep, DEADLOCK_STEPS_MAX * sizeof *s->places);
    if (s->nodes == NULL || s->places == NULL) return HF_ENOMEM;
    int rv = make_table(m, SLOTS_FIRST, &s->by_owner);
    if (rv == HF_OK) rv = make_table(m, SLOTS_FIRST, &s->by_name);
    s->nodes[s->node_count++] = (struct node){.session = m->session_id, .owner = owner};
    return rv;
}

/* From the requester to the one that waits for it. */
static void tell_cycle(const struct search *s, struct deadlock *found)
{
    HF_ASSERT(s->is_closed && s->last != 0); /* nobody waits for itself at once */
    found->length = 1;
    for (uint32_t at = s->last; at != 0; at = s->nodes[at].parent) found->length += 1;
    uint64_t place = found->length;
    for (uint32_t at = s->last; place > 0; at = s->nodes[at].parent) {
        place -= 1;
        if (place >= DEADLOCK_OWNERS_MAX) continue;
        found->owners[place] =
            (struct owner_item){.session = s->nodes[at].session, .owner = s->nodes[at].owner};
    }
    found->count =
        found->length < DEADLOCK_OWNERS_MAX ? (uint32_t)found->length : DEADLOCK_OWNERS_MAX;
}

/* Nobody waits for an owner that holds nothing. */
static int owner_holds(struct machine *m, uint64_t owner)
{
    if (m->session.grant_count == 0) return HF_ENOTFOUND;
    struct row_key prefix = row_key_pair(m->session_id, owner);
    struct slice key, value;
    return state_first(m, TABLE_SESSION_GRANTS, row_key_slice(&prefix), row_key_slice(&prefix),
                       &key, &value);
}

int deadlock_find(struct machine *m, const struct msg_acquire *acquire,
                  const struct row_lock *locks, struct deadlock *found)
{
    HF_ASSERT(m->session_id != 0);
    int rv = owner_holds(m, acquire->owner);
    if (rv != HF_OK) return rv;
    struct search s;
    rv = begin(&s, m, acquire->owner);
    for (uint32_t i = 0; rv == HF_OK && !s.is_closed && i < acquire->names.count; i++)
        rv = look_at_name(&s, 0, acquire, acquire->names.items[i], &locks[i], UINT64_MAX);
    for (uint32_t at = 1; rv == HF_OK && !s.is_closed && !s.is_cut && at < s.node_count; at++) {
        size_t mark = state_mark(m);
        rv = look_at_node(&s, at);
        state_reset(m, mark);
    }
    if (rv != HF_OK) return rv;
    if (s.is_closed) {
        tell_cycle(&s, found);
        return HF_OK;
    }
    if (s.is_cut) m->deadlock_unknown_count += 1;
    return HF_ENOTFOUND;
}

/* WATCHes (docs/contract.md, section 8): parked reads. Happy path: one that comes is confirmed as
 * any read is, then looked at; with nothing to tell it waits here, in the leader's memory, at the
 * number that it has come to. An event wakes those whose prefix and kinds want it, and they are
 * answered without asking anybody again: what was committed stays true. At its wait's end, or after
 * MARK_MS, it is confirmed anew, and looked at for the last time: then even nothing is an answer, a
 * mark, which says that up to this number and this cluster time nothing else has happened.
 *
 *     came -> confirming -> ready -> answered
 *                 ^           |  ^
 *        its end  |           v  | an event
 *                 +-------- waiting
 *
 * Looking costs a walk over rows and answers are large, so a pass looks at as many as its budget
 * allows; the others stay ready. Nothing of this is in the log: leadership lost is NOT_LEADER, and
 * the client asks the next leader from the same number. Failure modes: too many, TOO_BUSY. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/planted.h"
#include "base/status.h"
#include "server/replica_parts.h"

enum {
    WATCHES_MAX = 16384,           /* all together */
    CONNECTION_WATCHES_MAX = 1024, /* of one connection */
    MARK_MS = 5000,                /* no wait is longer: then a mark */
    PASS_LOOKS_MAX = 256,          /* WATCHes looked at in a pass */
    PASS_ROWS_MAX = 4000,          /* rows walked over for them */
    PASS_BYTES_MAX = 1024 * 1024,  /* of their answers */
};

_Static_assert(MARK_MS / WATCH_TICK_MS + 2 < WATCH_TICKS, "the longest wait has its tick");

/* Those of one connection. */
struct watch_owner {
    struct table_node node; /* in `owners`, by the connection */
    struct list watches;    /* of struct watch; never empty */
    uint32_t count;         /* in it */
};

/* Those that wait for events under one prefix. */
struct watch_group {
    struct table_node node; /* in `groups`, by the hash of the prefix */
    struct list waiting;    /* of struct watch; never empty */
    struct list marked;     /* in replica_watches.marked while it has been woken */
    uint64_t wanted;        /* bits of the kinds that anybody has waited for in it */
    uint64_t kinds;         /* bits of the events that woke it */
    size_t prefix_bytes;    /* of its prefix */
};

struct watch {
    struct list place;            /* in `confirming`, `ready` or its group's `waiting` */
    struct list by_end;           /* in one of `ends` while it waits */
    struct list in_owner;         /* in its owner's `watches` */
    struct watch_owner *owner;    /* borrowed */
    struct watch_group *group;    /* borrowed; NULL = it does not wait */
    struct replica_caller caller; /* whose */
    struct msg_watch want;        /* as asked, `from` where it has come to; prefix is `prefix` */
    uint64_t until_ms;            /* its end, on this machine's clock */
    uint64_t index;               /* as struct waiting_read's */
    uint64_t round;               /* likewise */
    bool final;                   /* its wait is over: it is answered with what there is */
    uint8_t prefix[];
};

static struct hash128 hash_of(struct slice prefix)
{
    return hash128(0, prefix.data, prefix.size);
}

static struct watch_group *find_group(const struct replica *r, struct slice prefix)
{
    struct hash128 hash = hash_of(prefix);
    struct table_node *node = table_find(&r->watches.groups, hash.high, hash.low);
    return node != NULL ? HF_CONTAINER_OF(node, struct watch_group, node) : NULL;
}

static struct watch_owner *find_owner(const struct replica *r, uint64_t connection)
{
    struct table_node *node = table_find(&r->watches.owners, connection, 0);
    return node != NULL ? HF_CONTAINER_OF(node, struct watch_owner, node) : NULL;
}

static struct watch *first_of(const struct list *places)
{
    return HF_CONTAINER_OF(places->next, struct watch, place);
}

/* ------------------------------------------------------------------ in and out */

int replica_watches_init(struct replica *r)
{
    list_init(&r->watches.confirming);
    list_init(&r->watches.ready);
    list_init(&r->watches.marked);
    for (size_t i = 0; i < WATCH_TICKS; i++) list_init(&r->watches.ends[i]);
    int rv = table_init(&r->watches.groups);
    return rv == HF_OK ? table_init(&r->watches.owners) : rv;
}

static void leave_group(struct replica *r, struct watch *w)
{
    struct watch_group *group = w->group;
    list_remove(&w->place);
    list_remove(&w->by_end);
    w->group = NULL;
    if (group == NULL || !list_empty(&group->waiting)) return;
    HF_ASSERT(r->watches.lengths[group->prefix_bytes] > 0);
    r->watches.lengths[group->prefix_bytes] -= 1;
    list_remove(&group->marked);
    table_remove(&r->watches.groups, &group->node);
    free(group);
}

static void forget(struct replica *r, struct watch *w)
{
    struct watch_owner *owner = w->owner;
    leave_group(r, w);
    list_remove(&w->in_owner);
    owner->count -= 1;
    r->watches.count -= 1;
    free(w);
    if (owner->count > 0) return;
    table_remove(&r->watches.owners, &owner->node);
    free(owner);
}

static struct watch *any_watch(const struct replica *r)
{
    struct table_node *node = table_any(&r->watches.owners);
    if (node == NULL) return NULL;
    struct watch_owner *owner = HF_CONTAINER_OF(node, struct watch_owner, node);
    return HF_CONTAINER_OF(owner->watches.next, struct watch, in_owner);
}

void replica_watches_close(struct replica *r)
{
    struct watch *w;
    if (r->watches.owners.buckets != NULL) {
        while ((w = any_watch(r)) != NULL) forget(r, w);
    }
    table_close(&r->watches.owners);
    table_close(&r->watches.groups);
}

void replica_watches_gone(struct replica *r, uint64_t connection)
{
    struct watch_owner *owner = find_owner(r, connection);
    if (owner == NULL) return;
    struct list *link = owner->watches.next;
    bool last = false;
    while (!last) { /* the last one takes the owner along */
        struct watch *w = HF_CONTAINER_OF(link, struct watch, in_owner);
        link = link->next;
        last = link == &owner->watches;
        forget(r, w);
    }
}

static struct watch_owner *join_owner(struct replica *r, uint64_t connection)
{
    struct watch_owner *owner = find_owner(r, connection);
    if (owner != NULL) return owner->count < CONNECTION_WATCHES_MAX ? owner : NULL;
    owner = calloc(1, sizeof *owner);
    if (owner == NULL) return NULL;
    owner->node.key[0] = connection;
    list_init(&owner->watches);
    table_insert(&r->watches.owners, &owner->node);
    return owner;
}

static struct watch_group *join_group(struct replica *r, struct slice prefix)
{
    struct watch_group *group = find_group(r, prefix);
    if (group != NULL) return group;
    group = calloc(1, sizeof *group);
    if (group == NULL) return NULL;
    struct hash128 hash = hash_of(prefix);
    group->node.key[0] = hash.high;
    group->node.key[1] = hash.low;
    group->prefix_bytes = prefix.size;
    list_init(&group->waiting);
    list_init(&group->marked);
    table_insert(&r->watches.groups, &group->node);
    r->watches.lengths[prefix.size] += 1;
    return group;
}

/* Its look has to wait until a round has confirmed that this server leads. */
static void confirm(struct replica *r, struct watch *w)
{
    w->index = r->leads ? driver_commit_index(r->driver) : 0;
    w->round = rounds_join(&r->rounds);
    list_push_back(&r->watches.confirming, &w->place);
}

int replica_watch(struct replica *r, const struct replica_caller *caller,
                  const struct msg_watch *request)
{
    HF_ASSERT(caller->op == OP_CODE_WATCH && !caller->parked);
    if (driver_state(r->driver) != DRIVER_LEADER) return replica_refuse(r, caller, HF_ENOTLEADER);
    bool full = r->watches.count >= WATCHES_MAX;
    struct watch *w = full ? NULL : malloc(sizeof *w + request->prefix.size);
    struct watch_owner *owner = w != NULL ? join_owner(r, caller->connection) : NULL;
    if (owner == NULL) {
        free(w);
        return replica_refuse(r, caller, HF_ETOOBUSY);
    }
    uint64_t wait_ms = request->wait_ms < MARK_MS ? request->wait_ms : MARK_MS;
    *w = (struct watch){
        .owner = owner,
        .caller = *caller,
        .want = *request,
        .until_ms = r->now.elapsed_ms + wait_ms,
        .final = wait_ms == 0,
    };
    if (request->prefix.size > 0) memcpy(w->prefix, request->prefix.data, request->prefix.size);
    w->want.prefix = slice_make(w->prefix, request->prefix.size);
    list_init(&w->by_end);
    list_push_back(&owner->watches, &w->in_owner);
    owner->count += 1;
    r->watches.count += 1;
    confirm(r, w);
    return HF_OK;
}

/* ------------------------------------------------------------------ what wakes them */

void replica_watches_event(struct replica *r, enum event_type kind, struct slice name)
{
    HF_ASSERT(name.size < HF_ARRAY_COUNT(r->watches.lengths));
    if (r->watches.groups.count == 0) return;
    for (size_t size = 0; size <= name.size; size++) {
        if (r->watches.lengths[size] == 0) continue;
        struct watch_group *group = find_group(r, slice_make(name.data, size));
        if (group == NULL || (group->wanted >> kind & 1) == 0) continue;
        group->kinds |= UINT64_C(1) << kind;
        if (list_empty(&group->marked)) list_push_back(&r->watches.marked, &group->marked);
    }
}

static void make_ready(struct replica *r, struct watch *w)
{
    leave_group(r, w);
    list_push_back(&r->watches.ready, &w->place);
}

/* The last one takes its group along. */
static void wake_group(struct replica *r, struct watch_group *group)
{
    uint64_t kinds = group->kinds;
    bool stays = false;
    LIST_FOR(link, &group->waiting)
    {
        const struct watch *w = HF_CONTAINER_OF(link, struct watch, place);
        stays = stays || (w->want.kinds != 0 && (w->want.kinds & kinds) == 0);
    }
    group->kinds = 0;
    list_remove(&group->marked);
    for (struct list *link = group->waiting.next, *next; link != &group->waiting; link = next) {
        struct watch *w = HF_CONTAINER_OF(link, struct watch, place);
        next = link->next;
        bool last = !stays && next == &group->waiting;
        if (w->want.kinds == 0 || (w->want.kinds & kinds) != 0) make_ready(r, w);
        if (last) return; /* the group has gone */
    }
}

/* ------------------------------------------------------------------ looking */

static uint64_t tick_at(uint64_t ms)
{
    return ms / WATCH_TICK_MS;
}

/* Its end is the first tick at or after it that is still to come. However many wait, and for how
 * long, putting one among them is one step. */
static void insert_by_end(struct replica *r, struct watch *w)
{
    uint64_t tick = tick_at(w->until_ms + WATCH_TICK_MS - 1);
    if (tick <= r->watches.ended_tick) tick = r->watches.ended_tick + 1;
    HF_ASSERT(tick - r->watches.ended_tick < WATCH_TICKS);
    list_push_back(&r->watches.ends[tick % WATCH_TICKS], &w->by_end);
}

/* \retval HF_ENOMEM it cannot wait. */
static int park(struct replica *r, struct watch *w, uint64_t from)
{
    struct watch_group *group = join_group(r, w->want.prefix);
    if (group == NULL) return HF_ENOMEM;
    list_remove(&w->place);
    list_push_back(&group->waiting, &w->place);
    w->group = group;
    group->wanted |= w->want.kinds != 0 ? w->want.kinds : EVENT_KINDS_ALL;
    w->want.from = from;
    insert_by_end(r, w);
    if (w->caller.parked) return HF_OK;
    w->caller.parked = true;
    r->ports.parked(r->ports.data, &w->caller);
    return HF_OK;
}

/* What of a pass's budget is left. */
struct budget {
    uint32_t looks;
    uint32_t rows;
    size_t bytes;
};

static int look(struct replica *r, struct watch *w, struct budget *left)
{
    struct machine_reply reply = {0};
    struct watch_found found;
    struct msg_watch want = w->want;
    if (w->final && w->caller.parked && planted(WATCH_MARK_SKIPS)) want.from = 0;
    buffer_clear(&r->answer);
    int rv = machine_watch(r->machine, &want, &r->answer, &reply.status, &found);
    if (rv != HF_OK) return rv;
    left->looks -= 1;
    left->rows -= found.looked_count < left->rows ? found.looked_count : left->rows;
    if (!found.anything && !w->final) {
        rv = park(r, w, found.next);
        if (rv != HF_ENOMEM) return rv;
        rv = replica_refuse(r, &w->caller, HF_ETOOBUSY);
    } else {
        left->bytes -= r->answer.size < left->bytes ? r->answer.size : left->bytes;
        reply.body = buffer_slice(&r->answer);
        rv = r->ports.reply(r->ports.data, &w->caller, &reply);
    }
    forget(r, w);
    return rv;
}

static bool is_confirmed(struct replica *r, struct watch *w)
{
    if (w->index == 0) w->index = driver_commit_index(r->driver);
    if (planted(WATCH_UNCONFIRMED)) return r->applied_index >= w->index;
    return r->applied_index >= w->index && r->rounds.confirmed >= w->round;
}

int replica_watches_serve(struct replica *r)
{
    if (!r->leads) return HF_OK;
    while (!list_empty(&r->watches.confirming)) {
        struct watch *w = first_of(&r->watches.confirming);
        if (!is_confirmed(r, w)) break;
        make_ready(r, w);
    }
    while (!list_empty(&r->watches.marked))
        wake_group(r, HF_CONTAINER_OF(r->watches.marked.next, struct watch_group, marked));
    struct budget left = {PASS_LOOKS_MAX, PASS_ROWS_MAX, PASS_BYTES_MAX};
    int rv = HF_OK;
    while (rv == HF_OK && !list_empty(&r->watches.ready)) {
        if (left.looks == 0 || left.rows == 0 || left.bytes == 0) break;
        rv = look(r, first_of(&r->watches.ready), &left);
    }
    return rv;
}

/* ------------------------------------------------------------------ ends */

static int refuse_all(struct replica *r, int status)
{
    struct watch *w;
    int rv = HF_OK;
    while (rv == HF_OK && (w = any_watch(r)) != NULL) {
        rv = replica_refuse(r, &w->caller, status);
        forget(r, w);
    }
    return rv;
}

/* While it waited it was not woken, and its group is not about to be: of all that was told nothing
 * is for it, and its last look need not walk over that. */
static void pass_over(struct replica *r, struct watch *w)
{
    if (list_empty(&w->group->marked)) w->want.from = machine_event_next(r->machine);
}

static void end_tick(struct replica *r, uint64_t tick)
{
    const struct list *ends = &r->watches.ends[tick % WATCH_TICKS];
    while (!list_empty(ends)) {
        struct watch *w = HF_CONTAINER_OF(ends->next, struct watch, by_end);
        pass_over(r, w);
        leave_group(r, w);
        w->final = true;
        confirm(r, w);
    }
}

int replica_watches_end(struct replica *r)
{
    uint64_t now = tick_at(r->now.elapsed_ms);
    uint64_t tick = r->watches.ended_tick + 1;
    if (r->stopping) return refuse_all(r, HF_ESHUTDOWN);
    if (now >= WATCH_TICKS && tick < now - WATCH_TICKS + 1) tick = now - WATCH_TICKS + 1;
    for (; tick <= now; tick++) end_tick(r, tick);
    r->watches.ended_tick = now;
    return HF_OK;
}

int replica_watches_disown(struct replica *r)
{
    return refuse_all(r, HF_ENOTLEADER);
}

uint64_t replica_watches_when(const struct replica *r)
{
    if (!r->leads) return UINT64_MAX;
    bool work = !list_empty(&r->watches.ready) || !list_empty(&r->watches.marked);
    if (work) return r->now.elapsed_ms;
    if (r->watches.groups.count == 0) return UINT64_MAX;
    uint64_t tick = r->watches.ended_tick + 1;
    while (list_empty(&r->watches.ends[tick % WATCH_TICKS])) tick++; /* somebody waits */
    return tick * WATCH_TICK_MS;
}

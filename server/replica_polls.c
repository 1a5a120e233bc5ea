/* POLLs of timers that wait (docs/contract.md, section 8). In the log a POLL never waits, so one of
 * a group with nothing ready stays here, in the leader's memory, and costs nobody an entry: when
 * the machine tells that a timer of its group is ready, the group's oldest POLL is proposed; at its
 * wait's end it is answered with nothing. One of a group is under way at a time: the next is
 * looked at when that has its answer, for it may have taken all.
 *
 * Nothing of it is in the log while it waits. So leadership lost is NOT_LEADER, of class 1: the
 * client asks the next leader, under the same number. A copy of a POLL that was applied, or one of
 * a session that has ended, is none that waits: the machine answers it. A CANCEL of one that waits
 * ends it here and goes into the log besides, where it meets what may come late. With its session
 * it ends, too, as of unknown outcome: asked again it learns why. One whose connection has gone is
 * forgotten: nobody would hear what it is given.
 *
 * That a POLL found nothing is said by this server alone and confirmed by nobody: it is no promise
 * that there was nothing. Failure modes: too many wait, TOO_BUSY; too many of one session,
 * TOO_MANY_UNACKED: one program shall not take the places of all others. */
#include <stdlib.h>

#include "base/buggify.h"
#include "base/hash.h"
#include "base/status.h"
#include "server/replica_parts.h"

enum { POLLS_MAX = 4096 };

/* Consumers of one group, or the wish to look at it again. */
struct poll_group {
    struct table_node node; /* in `groups`, by the hash of its name */
    struct list waiting;    /* of struct poll, oldest first; never empty */
    struct list marked;     /* in replica_polls.marked while it is to be looked at */
    bool asked;             /* one of them is under way */
    size_t name_bytes;      /* of `name` */
    uint8_t name[TIMER_GROUP_BYTES_MAX];
};

/* A session with POLLs that wait. */
struct poll_owner {
    struct table_node node; /* in `owners`, by session */
    struct list waiting;    /* of struct poll; never empty */
    uint32_t count;         /* of them */
};

struct poll {
    struct table_node node;       /* in `polls`, by (session, seq) */
    struct list in_group;         /* in its group's `waiting` */
    struct list in_owner;         /* in its owner's `waiting` */
    struct list by_end;           /* in `by_end`, the next to end first */
    struct poll_group *group;     /* borrowed */
    struct poll_owner *owner;     /* likewise */
    struct replica_caller caller; /* whose; its answer comes long after it was read */
    uint64_t until_ms;            /* its wait's end, on this machine's clock */
    uint64_t lease_ms;            /* as asked */
    size_t envelope_bytes;        /* of `bytes`, encoded */
    size_t body_bytes;            /* behind them, as it came */
    uint8_t bytes[];
};

static struct hash128 hash_of(struct slice group)
{
    return hash128(0, group.data, group.size);
}

static struct poll_group *find_group(const struct replica *r, struct hash128 hash)
{
    struct table_node *node = table_find(&r->polls.groups, hash.high, hash.low);
    return node != NULL ? HF_CONTAINER_OF(node, struct poll_group, node) : NULL;
}

static struct poll *find_poll(const struct replica *r, uint64_t session, uint64_t seq)
{
    struct table_node *node = table_find(&r->polls.polls, session, seq);
    return node != NULL ? HF_CONTAINER_OF(node, struct poll, node) : NULL;
}

static struct poll_owner *find_owner(const struct replica *r, uint64_t session)
{
    struct table_node *node = table_find(&r->polls.owners, session, 0);
    return node != NULL ? HF_CONTAINER_OF(node, struct poll_owner, node) : NULL;
}

static void mark(struct replica *r, struct poll_group *group)
{
    if (list_empty(&group->marked)) list_push_back(&r->polls.marked, &group->marked);
}

/* ------------------------------------------------------------------ in and out */

int replica_polls_init(struct replica *r)
{
    list_init(&r->polls.marked);
    list_init(&r->polls.by_end);
    int rv = table_init(&r->polls.groups);
    if (rv == HF_OK) rv = table_init(&r->polls.owners);
    return rv == HF_OK ? table_init(&r->polls.polls) : rv;
}

static void leave_group(struct replica *r, struct poll_group *group)
{
    if (!list_empty(&group->waiting)) return;
    list_remove(&group->marked);
    table_remove(&r->polls.groups, &group->node);
    free(group);
}

static void leave_owner(struct replica *r, struct poll_owner *owner)
{
    if (owner->count > 0) return;
    table_remove(&r->polls.owners, &owner->node);
    free(owner);
}

static void forget(struct replica *r, struct poll *p)
{
    HF_ASSERT(p->owner->count > 0);
    list_remove(&p->in_group);
    list_remove(&p->in_owner);
    list_remove(&p->by_end);
    table_remove(&r->polls.polls, &p->node);
    p->owner->count -= 1;
    leave_group(r, p->group);
    leave_owner(r, p->owner);
    free(p);
}

void replica_polls_close(struct replica *r)
{
    if (r->polls.polls.buckets == NULL) { /* it was never open */
        table_close(&r->polls.owners);
        table_close(&r->polls.groups);
        return;
    }
    while (!list_empty(&r->polls.by_end))
        forget(r, HF_CONTAINER_OF(r->polls.by_end.next, struct poll, by_end));
    table_close(&r->polls.polls);
    table_close(&r->polls.owners);
    table_close(&r->polls.groups);
}

static struct poll_group *join_group(struct replica *r, struct slice name)
{
    struct hash128 hash = hash_of(name);
    struct poll_group *group = find_group(r, hash);
    if (group != NULL) return group;
    group = calloc(1, sizeof *group);
    if (group == NULL) return NULL;
    HF_ASSERT(name.size <= sizeof group->name);
    group->node.key[0] = hash.high;
    group->node.key[1] = hash.low;
    group->name_bytes = name.size;
    memcpy(group->name, name.data, name.size);
    list_init(&group->waiting);
    list_init(&group->marked);
    table_insert(&r->polls.groups, &group->node);
    return group;
}

static struct poll_owner *join_owner(struct replica *r, uint64_t session)
{
    struct poll_owner *owner = find_owner(r, session);
    if (owner != NULL) return owner;
    owner = calloc(1, sizeof *owner);
    if (owner == NULL) return NULL;
    owner->node.key[0] = session;
    list_init(&owner->waiting);
    table_insert(&r->polls.owners, &owner->node);
    return owner;
}

/* Put it among the others by its end; waits are mostly alike, so it is looked for from behind. */
static void insert_by_end(struct replica *r, struct poll *p)
{
    struct list *at = r->polls.by_end.prev;
    while (at != &r->polls.by_end &&
           HF_CONTAINER_OF(at, struct poll, by_end)->until_ms > p->until_ms)
        at = at->prev;
    list_push_back(at->next, &p->by_end);
}

static int park(struct replica *r, const struct replica_caller *caller,
                const struct envelope *envelope, const struct msg_timer_poll *request,
                struct slice body)
{
    buffer_clear(&r->answer);
    int rv = codec_encode(&envelope_type, envelope, &r->answer);
    if (rv != HF_OK) return rv;
    struct poll *p = malloc(sizeof *p + r->answer.size + body.size);
    struct poll_group *group = p != NULL ? join_group(r, request->group) : NULL;
    struct poll_owner *owner = group != NULL ? join_owner(r, caller->session) : NULL;
    if (owner == NULL) {
        if (group != NULL) leave_group(r, group);
        free(p);
        return HF_ENOMEM;
    }
    *p = (struct poll){
        .group = group,
        .owner = owner,
        .caller = *caller,
        .until_ms = r->now.elapsed_ms + request->wait_ms,
        .lease_ms = request->lease_ms,
        .envelope_bytes = r->answer.size,
        .body_bytes = body.size,
    };
    memcpy(p->bytes, r->answer.data, r->answer.size);
    memcpy(p->bytes + r->answer.size, body.data, body.size);
    p->caller.parked = true;
    list_push_back(&owner->waiting, &p->in_owner);
    owner->count += 1;
    p->node.key[0] = caller->session;
    p->node.key[1] = caller->seq;
    table_insert(&r->polls.polls, &p->node);
    list_push_back(&group->waiting, &p->in_group);
    insert_by_end(r, p);
    mark(r, group); /* what it would miss may have come just now */
    r->ports.parked(r->ports.data, caller);
    return HF_OK;
}

/* ------------------------------------------------------------------ requests */

static int answer_nothing(struct replica *r, const struct replica_caller *caller, uint64_t lease_ms)
{
    const struct msg_timer_poll_reply nothing = {.lease_ms = lease_ms};
    buffer_clear(&r->answer);
    int rv = codec_encode(&msg_timer_poll_reply_type, &nothing, &r->answer);
    if (rv != HF_OK) return rv;
    const struct machine_reply reply = {.status = HF_OK, .body = buffer_slice(&r->answer)};
    return r->ports.reply(r->ports.data, caller, &reply);
}

/* The log has to answer: it was applied before, its session is not alive, there is something.
 * \retval HF_OK it has to; \retval HF_ENOTFOUND it may wait; faults. */
static int belongs_to_log(struct replica *r, const struct replica_caller *caller,
                          struct slice group)
{
    uint32_t count, bytes;
    if (!r->leads) return HF_OK; /* the state is not known up to what was committed before */
    int rv = machine_request_peek(r->machine, caller->session, caller->seq);
    if (rv != HF_ENOTFOUND) return rv;
    if (pending_has(&r->pending, caller->session, caller->seq)) return HF_OK;
    rv = machine_session_peek(r->machine, caller->session, &count, &bytes);
    if (rv != HF_OK) return status_kind(rv) == STATUS_FAULT ? rv : HF_OK;
    return machine_timer_ready(r->machine, group);
}

/* May another one of this session wait? \retval HF_ETOOBUSY, HF_EUNACKED it may not. */
static int admit(const struct replica *r, uint64_t session)
{
    const struct poll_owner *owner = find_owner(r, session);
    if (r->polls.polls.count >= POLLS_MAX || HF_BUGGIFY(FULL_POLLS)) return HF_ETOOBUSY;
    return owner != NULL && owner->count >= SESSION_POLLS_MAX ? HF_EUNACKED : HF_OK;
}

int replica_poll_waits(struct replica *r, const struct replica_caller *caller,
                       const struct envelope *envelope, struct slice body, bool *waits)
{
    struct msg_timer_poll request;
    HF_ASSERT(caller->op == OP_CODE_TIMER_POLL);
    *waits = false;
    if (codec_decode(&msg_timer_poll_type, body, NULL, &request) != HF_OK) return HF_EINTERNAL;
    struct poll *older = find_poll(r, caller->session, caller->seq);
    if (older != NULL) { /* its client has come back by another connection */
        int rv = replica_refuse_now(r, &older->caller, HF_EUNKNOWN);
        forget(r, older);
        if (rv != HF_OK) return rv;
    }
    int rv = belongs_to_log(r, caller, request.group);
    if (rv != HF_ENOTFOUND) return rv;
    *waits = true;
    if (request.wait_ms == 0) return answer_nothing(r, caller, request.lease_ms);
    rv = admit(r, caller->session);
    if (rv == HF_OK) rv = park(r, caller, envelope, &request, body);
    if (rv == HF_ENOMEM) rv = HF_ETOOBUSY;
    bool refused = rv == HF_ETOOBUSY || rv == HF_EUNACKED;
    return refused ? replica_refuse(r, caller, rv) : rv;
}

bool replica_poll_is_waiting(const struct replica *r, uint64_t session, uint64_t seq)
{
    return find_poll(r, session, seq) != NULL;
}

int replica_poll_cancelled(struct replica *r, uint64_t session, struct slice body)
{
    struct msg_cancel cancel;
    if (r->polls.polls.count == 0) return HF_OK;
    if (codec_decode(&msg_cancel_type, body, NULL, &cancel) != HF_OK) return HF_EINTERNAL;
    struct poll *p = find_poll(r, session, cancel.target_seq);
    if (p == NULL) return HF_OK;
    int rv = replica_refuse_now(r, &p->caller, HF_ECANCELLED);
    forget(r, p);
    return rv;
}

void replica_gone(struct replica *r, uint64_t connection)
{
    replica_watches_gone(r, connection);
    LIST_FOR_SAFE(link, &r->polls.by_end)
    {
        struct poll *p = HF_CONTAINER_OF(link, struct poll, by_end);
        if (p->caller.connection == connection) forget(r, p);
    }
}

/* Its client asks again, and the log, which knows the session's end, tells it. */
int replica_polls_session_ended(struct replica *r, uint64_t session)
{
    struct poll_owner *owner = NULL;
    int rv = HF_OK;
    while (rv == HF_OK && (owner = find_owner(r, session)) != NULL) {
        struct poll *p = HF_CONTAINER_OF(owner->waiting.next, struct poll, in_owner);
        rv = replica_refuse_now(r, &p->caller, HF_EUNKNOWN);
        forget(r, p); /* and the owner with the last one */
    }
    return rv;
}

/* ------------------------------------------------------------------ what wakes them */

void replica_polls_ready(struct replica *r, struct slice group)
{
    if (r->polls.polls.count == 0) return;
    struct poll_group *found = find_group(r, hash_of(group));
    if (found != NULL) mark(r, found);
}

void replica_poll_answered(struct replica *r, const struct pending *request)
{
    if (!request->polled) return;
    const struct hash128 hash = {request->group_high, request->group_low};
    struct poll_group *group = find_group(r, hash);
    if (group == NULL) return;
    group->asked = false;
    mark(r, group);
}

/* Propose a group's oldest. \retval HF_ETOOBUSY there is no room; it waits on. */
static int propose(struct replica *r, struct poll_group *group)
{
    struct poll *p = HF_CONTAINER_OF(group->waiting.next, struct poll, in_group);
    struct slice bytes = slice_make(p->bytes, p->envelope_bytes);
    struct envelope envelope;
    struct pending *request = pending_new(&r->pending, &p->caller, true);
    if (request == NULL) return HF_ETOOBUSY;
    request->caller.parked = true;
    request->polled = true;
    request->group_high = group->node.key[0];
    request->group_low = group->node.key[1];
    arena_reset(&r->arena);
    int rv = codec_decode(&envelope_type, bytes, &r->arena, &envelope);
    if (rv != HF_OK) return HF_EINTERNAL; /* it was encoded here */
    rv = batches_add(&r->batches, r->now.elapsed_ms, OP_CODE_TIMER_POLL, request, &envelope,
                     slice_make(p->bytes + p->envelope_bytes, p->body_bytes));
    if (rv != HF_OK) {
        pending_end(&r->pending, request);
        return HF_ETOOBUSY;
    }
    group->asked = true;
    forget(r, p); /* and the group with it, if that was the last */
    return HF_OK;
}

static int end_waits(struct replica *r)
{
    while (!list_empty(&r->polls.by_end)) {
        struct poll *p = HF_CONTAINER_OF(r->polls.by_end.next, struct poll, by_end);
        bool over = p->until_ms <= r->now.elapsed_ms;
        if (!over && !r->stopping) return HF_OK;
        int rv = r->stopping ? replica_refuse_now(r, &p->caller, HF_ESHUTDOWN)
                             : answer_nothing(r, &p->caller, p->lease_ms);
        forget(r, p);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

int replica_polls_pass(struct replica *r)
{
    int rv = end_waits(r);
    r->polls.blocked = false;
    while (rv == HF_OK && r->leads && !list_empty(&r->polls.marked)) {
        struct poll_group *group = HF_CONTAINER_OF(r->polls.marked.next, struct poll_group, marked);
        r->polls.blocked = r->batches.waiting_bytes >= r->limits.waiting_bytes_max;
        if (r->polls.blocked) return HF_OK;
        list_remove(&group->marked);
        if (group->asked) continue;
        rv = machine_timer_ready(r->machine, slice_make(group->name, group->name_bytes));
        if (rv == HF_OK) {
            rv = propose(r, group);
            if (rv == HF_ETOOBUSY) {
                mark(r, group);
                r->polls.blocked = true;
                return HF_OK; /* with a later pass */
            }
        }
        if (rv == HF_ENOTFOUND) rv = HF_OK;
    }
    return rv;
}

int replica_polls_disown(struct replica *r)
{
    int rv = HF_OK;
    while (rv == HF_OK && !list_empty(&r->polls.by_end)) {
        struct poll *p = HF_CONTAINER_OF(r->polls.by_end.next, struct poll, by_end);
        rv = replica_refuse(r, &p->caller, HF_ENOTLEADER);
        forget(r, p);
    }
    return rv;
}

uint64_t replica_polls_when(const struct replica *r)
{
    if (r->leads && !list_empty(&r->polls.marked)) /* come back, but do not spin */
        return r->now.elapsed_ms + (r->polls.blocked ? 1 : 0);
    if (list_empty(&r->polls.by_end)) return UINT64_MAX;
    return HF_CONTAINER_OF(r->polls.by_end.next, struct poll, by_end)->until_ms;
}

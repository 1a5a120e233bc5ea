/* Lock handles: owners that acquire and release. The handle's owner id is spent when an acquire
 * ended without an answer, as its waiter may still stand in a queue; the next call draws another.
 * Grants remember the owner that they were acquired under. docs/contract.md, sections 2 and 4. */
#include "client/include/holdfast_lock.h"

#include <stdlib.h>

#include "client/lock.h"
#include "client/lock_refusal.h"

struct hf_lock {
    hf_client *client;            /**< its client */
    _Atomic uint64_t owner;       /**< 0 = to be drawn */
    struct lock_refusal *refusal; /**< of the last acquire; owned; NULL = there never was one */
};

static struct grant_ref ref_of(const hf_grant *grant)
{
    return (struct grant_ref){grant->slot, grant->generation};
}

int hf_lock_new(hf_client *client, hf_lock **lock)
{
    if (client == NULL || lock == NULL) return HF_EINVAL;
    if (client->fork_count != shell_fork_count()) return HF_ECLOSED;
    hf_lock *l = calloc(1, sizeof *l);
    if (l == NULL) return HF_ENOMEM;
    l->client = client;
    *lock = l;
    return HF_OK;
}

/* Ended here at once; the servers hear of it now or later. With the lock held. */
static int release_slot(hf_client *client, struct slot *s, struct call **call)
{
    struct msg_release release = {.fencing_token = s->token, .owner = s->owner};
    struct call *made;
    int rv = core_call_new(&client->core, OP_CODE_RELEASE, &release, &made);
    if (rv != HF_OK) return rv;
    made->fate = FATE_REPEAT_SURE;
    s->count -= 1;
    if (s->count == 0) core_forget_grant(&client->core, grants_ref(s));
    *call = made;
    return HF_OK;
}

void hf_lock_free(hf_lock *lock)
{
    if (lock == NULL) return;
    hf_client *client = lock->client;
    if (shell_enter(client) == HF_OK) {
        uint64_t now_ns = shell_now(client);
        for (int i = 0; i < 2; i++) /* the second time without waiting for CANCEL's answer */
            core_interrupt_all(&client->core, lock, CORE_NEVER, now_ns);
        core_drop_held(&client->core, lock, now_ns);
        LIST_FOR_SAFE(item, &client->core.grants.alive)
        {
            struct slot *s = HF_CONTAINER_OF(item, struct slot, link);
            bool held = s->handle == lock;
            for (uint32_t left = held ? s->count : 0; left > 0; left--) {
                struct call *call;
                if (release_slot(client, s, &call) != HF_OK) { /* too many calls under way */
                    core_drop_grant(&client->core, grants_ref(s), now_ns);
                    break;
                }
                call->attached = false;
                core_submit(&client->core, call, CORE_NEVER, now_ns);
            }
        }
        shell_leave(client);
    }
    free(lock->refusal);
    free(lock);
}

/* take_cb of an acquire. */
static int take(struct call *call, int verdict)
{
    hf_lock *lock = call->handle;
    hf_grant *grant = call->output;
    if (verdict != HF_OK) {
        if (!call->over) lock->owner = 0; /* spent */
        lock_refusal_take(&lock->refusal, verdict, buffer_slice(&call->reply),
                          &lock->client->core.arena);
        return verdict;
    }
    if (call->cancelling) return verdict; /* nothing of it stays */
    *grant = (hf_grant){.fencing_token = call->token,
                        .lease_ms = call->lease_left_ms,
                        .client = lock->client,
                        .slot = call->grant.slot,
                        .generation = call->grant.generation};
    return HF_OK;
}

/* The names as slices, in the order that the servers want.
 * \retval HF_EINVAL one of them stands twice, or is missing. */
static int sort_names(const char *const *names, size_t count, struct slice *sorted)
{
    for (size_t i = 0; i < count; i++) {
        if (names[i] == NULL) return HF_EINVAL;
        struct slice name = slice_of(names[i]);
        size_t at = i;
        while (at > 0 && slice_compare(sorted[at - 1], name) > 0) {
            sorted[at] = sorted[at - 1];
            at -= 1;
        }
        if (at > 0 && slice_equal(sorted[at - 1], name)) return HF_EINVAL;
        sorted[at] = name;
    }
    return HF_OK;
}

/* Do mode, permits and limit go together? The rest is checked against the message's ranges. */
static bool has_sound_mode(const hf_acquire *how)
{
    if (how->mode == HF_EXCLUSIVE || how->mode == HF_SHARED)
        return how->permits == 0 && how->limit == 0;
    return how->mode == HF_PERMITS && how->limit >= 1 && how->permits <= how->limit;
}

int hf_lock_acquire_many_async(hf_lock *lock, const char *const *names, size_t name_count,
                               const hf_acquire *how, hf_grant *grant, hf_request *request,
                               hf_done_cb done_cb, void *data, hf_call *call)
{
    static const hf_acquire plain = {0};
    struct slice sorted[NAMES_MAX];
    if (lock == NULL || names == NULL || grant == NULL || done_cb == NULL) return HF_EINVAL;
    if (name_count < 1 || name_count > NAMES_MAX) return HF_EINVAL;
    if (how == NULL) how = &plain;
    if (!has_sound_mode(how)) return HF_EINVAL;
    int rv = sort_names(names, name_count, sorted);
    if (rv != HF_OK) return rv;
    hf_client *client = lock->client;
    uint64_t owner = lock->owner;
    if (owner == 0) lock->owner = owner = core_draw_owner(&client->core); /* from the kernel */
    bool one = how->mode == HF_PERMITS && how->permits == 0;
    struct msg_acquire acquire = {
        .names = {sorted, (uint32_t)name_count},
        .owner = owner,
        .mode = (uint64_t)how->mode,
        .permits = one ? 1 : how->permits,
        .limit = how->limit,
        .wait_ms = how->wait_ms,
        .hold_max_ms = how->hold_max_ms,
        .delay_ms = how->delay_ms,
        .reentrant = how->reentrant != 0,
        .meta = slice_make(how->meta, how->meta != NULL ? how->meta_bytes : 0),
    };
    struct call *made;
    rv = shell_begin(client, OP_CODE_ACQUIRE, &acquire, &made);
    if (rv != HF_OK) return rv;
    lock_refusal_forget(lock->refusal);
    made->fate = request != NULL ? FATE_HOLD : FATE_CANCEL;
    made->owner = owner;
    made->hold_ms = how->hold_max_ms;
    made->output = grant;
    made->handle = lock;
    made->wants_reply = true; /* beside a refusal */
    made->take_cb = take;
    shell_submit(client, made, how->wait_ms, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_lock_acquire_many(hf_lock *lock, const char *const *names, size_t name_count,
                         const hf_acquire *how, hf_grant *grant, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_lock_acquire_many_async(lock, names, name_count, how, grant, request,
                                                      shell_wake, &w, NULL));
}

int hf_lock_acquire_with_async(hf_lock *lock, const char *name, const hf_acquire *how,
                               hf_grant *grant, hf_request *request, hf_done_cb done_cb, void *data,
                               hf_call *call)
{
    if (how == NULL) return HF_EINVAL;
    return hf_lock_acquire_many_async(lock, &name, 1, how, grant, request, done_cb, data, call);
}

int hf_lock_acquire_with(hf_lock *lock, const char *name, const hf_acquire *how, hf_grant *grant,
                         hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(
        &w, hf_lock_acquire_with_async(lock, name, how, grant, request, shell_wake, &w, NULL));
}

int hf_lock_acquire_async(hf_lock *lock, const char *name, uint64_t wait_ms, hf_grant *grant,
                          hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    hf_acquire how = {.wait_ms = wait_ms};
    return hf_lock_acquire_with_async(lock, name, &how, grant, request, done_cb, data, call);
}

int hf_lock_acquire(hf_lock *lock, const char *name, uint64_t wait_ms, hf_grant *grant,
                    hf_request *request)
{
    hf_acquire how = {.wait_ms = wait_ms};
    return hf_lock_acquire_with(lock, name, &how, grant, request);
}

const hf_refusal *hf_lock_refusal(const hf_lock *lock)
{
    if (lock == NULL || lock->refusal == NULL) return NULL;
    return lock->refusal->shown.status != HF_OK ? &lock->refusal->shown : NULL;
}

int hf_lock_cancel(hf_lock *lock)
{
    if (lock == NULL) return HF_EINVAL;
    hf_client *client = lock->client;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    uint64_t now_ns = shell_now(client);
    core_interrupt_all(&client->core, lock, shell_deadline(client, 0, now_ns), now_ns);
    shell_leave(client);
    return HF_OK;
}

/* What to say of a grant that is not alive any more. */
static int why_gone(hf_client *client, const hf_grant *grant)
{
    enum grants_word word = grants_state(&client->core.grants, ref_of(grant), shell_now(client));
    return word == GRANTS_LOST ? HF_ELOST : HF_ENOTHELD;
}

int lock_find_grant(hf_lock *lock, const hf_grant *grant, struct slot **slot)
{
    hf_client *client = lock->client;
    core_expire(&client->core, shell_now(client)); /* past its deadline it is lost, told or not */
    struct slot *s = grants_alive(&client->core.grants, ref_of(grant));
    *slot = s;
    if (s == NULL) return why_gone(client, grant);
    return s->handle == lock ? HF_OK : HF_ENOTOWNER;
}

/* Lock the client, and find what a call on a grant of this handle is about.
 * \retval HF_OK locked, `slot` is alive. Everything else: not locked. */
static int enter_grant(hf_lock *lock, const hf_grant *grant, struct slot **slot)
{
    hf_client *client = lock->client;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    rv = lock_find_grant(lock, grant, slot);
    if (rv == HF_OK && client->core.closing) rv = HF_ECLOSED;
    if (rv != HF_OK) shell_leave(client);
    return rv;
}

int hf_lock_release_async(hf_lock *lock, hf_grant *grant, hf_request *request, hf_done_cb done_cb,
                          void *data, hf_call *call)
{
    struct slot *s;
    struct call *made;
    if (lock == NULL || grant == NULL || grant->client != lock->client) return HF_EINVAL;
    if (done_cb == NULL) return HF_EINVAL;
    int rv = enter_grant(lock, grant, &s);
    if (rv != HF_OK) return rv;
    rv = release_slot(lock->client, s, &made);
    if (rv != HF_OK) {
        shell_leave(lock->client);
        return rv;
    }
    if (request != NULL) made->fate = FATE_HOLD;
    shell_submit(lock->client, made, 0, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_lock_release(hf_lock *lock, hf_grant *grant, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_lock_release_async(lock, grant, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ changing the mode */

/* take_cb of a change: it is no success under a grant that has ended here meanwhile. */
static int take_change(struct call *call, int verdict)
{
    hf_client *client = call->handle;
    if (verdict != HF_OK || call->cancelling) return verdict;
    switch (grants_state(&client->core.grants, call->grant, shell_now(client))) {
    case GRANTS_LOST: return HF_ELOST;
    case GRANTS_ENDED: return HF_ENOTHELD;
    default: return verdict;
    }
}

static int change_mode(hf_lock *lock, uint16_t op, const hf_grant *grant, const struct ending *to)
{
    struct slot *s;
    struct call *made;
    if (lock == NULL || grant == NULL || grant->client != lock->client) return HF_EINVAL;
    if (to->done_cb == NULL) return HF_EINVAL;
    int rv = enter_grant(lock, grant, &s);
    if (rv != HF_OK) return rv;
    struct msg_change_mode change = {.fencing_token = s->token, .owner = s->owner};
    bool admitted = core_admits(&lock->client->core, op, &change, shell_now(lock->client));
    rv = admitted ? HF_OK : HF_EBREAKER;
    if (rv == HF_OK) rv = core_call_new(&lock->client->core, op, &change, &made);
    if (rv != HF_OK) {
        shell_leave(lock->client);
        return rv;
    }
    made->fate = to->request != NULL ? FATE_HOLD : FATE_REPEAT;
    made->grant = grants_ref(s);
    made->handle = lock->client; /* no acquire of the lock's: hf_lock_cancel() passes it by */
    made->take_cb = take_change;
    shell_submit(lock->client, made, 0, to);
    return HF_OK;
}

int hf_lock_downgrade_async(hf_lock *lock, const hf_grant *grant, hf_request *request,
                            hf_done_cb done_cb, void *data, hf_call *call)
{
    return change_mode(lock, OP_CODE_DOWNGRADE, grant,
                       &(struct ending){done_cb, data, request, call});
}

int hf_lock_downgrade(hf_lock *lock, const hf_grant *grant, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_lock_downgrade_async(lock, grant, request, shell_wake, &w, NULL));
}

int hf_lock_upgrade_async(hf_lock *lock, const hf_grant *grant, hf_request *request,
                          hf_done_cb done_cb, void *data, hf_call *call)
{
    return change_mode(lock, OP_CODE_UPGRADE, grant,
                       &(struct ending){done_cb, data, request, call});
}

int hf_lock_upgrade(hf_lock *lock, const hf_grant *grant, hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_lock_upgrade_async(lock, grant, request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ looking, without the lock */

static uint64_t left_ns(const hf_grant *grant)
{
    if (grant == NULL || grant->client == NULL) return 0;
    const hf_client *client = grant->client;
    uint64_t now_ns = shell_now(client); /* first: whatever is seen after can only be newer */
    if (client->fork_count != shell_fork_count()) return 0;
    return grants_left_ns(&client->core.grants, ref_of(grant), now_ns);
}

int hf_grant_valid(const hf_grant *grant, uint64_t need_ms)
{
    uint64_t left = left_ns(grant);
    return left > 0 && left / 1000000 >= need_ms;
}

uint64_t hf_grant_left_ms(const hf_grant *grant)
{
    return left_ns(grant) / 1000000;
}

int hf_grant_state(const hf_grant *grant)
{
    if (grant == NULL || grant->client == NULL) return HF_GRANT_ENDED;
    const hf_client *client = grant->client;
    uint64_t now_ns = shell_now(client);
    if (client->fork_count != shell_fork_count()) return HF_GRANT_ENDED;
    return (int)grants_state(&client->core.grants, ref_of(grant), now_ns);
}

_Static_assert((int)GRANTS_HELD == (int)HF_GRANT_HELD, "one numbering");
_Static_assert((int)GRANTS_SUSPECT == (int)HF_GRANT_SUSPECT, "likewise");
_Static_assert((int)GRANTS_LOST == (int)HF_GRANT_LOST, "likewise");
_Static_assert((int)GRANTS_ENDED == (int)HF_GRANT_ENDED, "likewise");

/* Requests that came while no leader was known. Told NOT_LEADER at once a client would go round the
 * servers in circles, or pause and come late; so they wait, shortly, until there is a leader to
 * send it to. Only the caller is kept: the answer is a redirection in any case, of class 1.
 *
 * Failure modes: too many wait, or too long: they are told NOT_LEADER without an address. */
#include <stdlib.h>

#include "base/status.h"
#include "server/replica_parts.h"

enum {
    SEEKING_MAX = 4096,   /* requests that wait; clients multiplex thousands over a connection */
    SEEKING_MS_MAX = 200, /* below the least time after which a client leaves a silent server */
};

struct seeking {
    struct list link;             /* in replica.seeking, oldest first */
    struct replica_caller caller; /* whose */
    uint64_t until_ms;            /* told then at the latest */
};

uint64_t replica_known_leader(const struct replica *r)
{
    uint64_t leader = driver_leader(r->driver);
    if (leader == 0 || leader == r->vote.state.node_id) return leader;
    return peers_is_heard(r->peers, leader) ? leader : 0; /* its link broke: it may be dead */
}

bool replica_seek_leader(struct replica *r, const struct replica_caller *caller)
{
    if (r->stopping || r->alone || r->seeking_count >= SEEKING_MAX) return false;
    if (replica_known_leader(r) != 0) return false;
    struct seeking *s = malloc(sizeof *s);
    if (s == NULL) return false;
    *s = (struct seeking){.caller = *caller, .until_ms = r->now.elapsed_ms + SEEKING_MS_MAX};
    list_push_back(&r->seeking, &s->link);
    r->seeking_count++;
    return true;
}

int replica_tell_leader(struct replica *r)
{
    if (r->seeking_count == 0) return HF_OK;
    bool known = replica_known_leader(r) != 0 || r->stopping;
    LIST_FOR_SAFE(link, &r->seeking)
    {
        struct seeking *s = HF_CONTAINER_OF(link, struct seeking, link);
        if (!known && s->until_ms > r->now.elapsed_ms) return HF_OK;
        list_remove(&s->link);
        r->seeking_count--;
        int rv = replica_refuse_now(r, &s->caller, HF_ENOTLEADER);
        free(s);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

uint64_t replica_seeking_when(const struct replica *r)
{
    if (r->seeking_count == 0) return UINT64_MAX;
    return HF_CONTAINER_OF(r->seeking.next, struct seeking, link)->until_ms;
}

void replica_seeking_close(struct replica *r)
{
    LIST_FOR_SAFE(link, &r->seeking) free(HF_CONTAINER_OF(link, struct seeking, link));
}

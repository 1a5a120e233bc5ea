/* See server/stopping.h. */
#include "server/stopping.h"

#include "base/status.h"

void stopping_begin(struct stopping *s, struct replica *r, struct replica_now now)
{
    HF_ASSERT(!stopping_begun(s));
    s->until_ms = now.elapsed_ms + STOPPING_MS_MAX;
    replica_stop(r);
}

int stopping_pass(struct stopping *s, struct replica *r, struct door *d, struct replica_now now,
                  enum stopping_state *state)
{
    HF_ASSERT(stopping_begun(s));
    int rv = HF_OK;
    *state = now.elapsed_ms >= s->until_ms ? STOPPING_LATE : STOPPING_GOES_ON;
    if (*state == STOPPING_LATE || !replica_is_idle(r)) return HF_OK;
    if (!s->handed_over && replica_hand_over(r, now, &rv)) return HF_OK;
    if (rv != HF_OK) return rv;
    s->handed_over = true;
    if (!s->said_goodbye) door_say_goodbye(d);
    s->said_goodbye = true;
    bool wanted = replica_checkpoint_wanted(r, now, &rv);
    if (rv == HF_OK && !wanted && list_empty(&d->connections)) *state = STOPPING_DONE;
    return rv;
}

uint64_t stopping_next_wake(const struct stopping *s)
{
    return stopping_begun(s) ? s->until_ms : UINT64_MAX;
}

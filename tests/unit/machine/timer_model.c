/* See the header. */
#include "tests/unit/machine/timer_model.h"

#include "base/status.h"
#include "protocol/messages.h"

enum { TOMBSTONE_MS = 86400000 };

static void end_delivery(struct model_timer *t, uint64_t at_ms, uint64_t now_ms)
{
    if (t->attempt == t->attempts_max) {
        t->state = TIMER_DEAD;
        return;
    }
    t->state = at_ms <= now_ms ? TIMER_READY : TIMER_DELAYED;
    t->at_ms = at_ms;
}

void model_pass(struct model *m, uint64_t ms)
{
    m->now_ms += ms;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        struct model_timer *t = &m->timers[i];
        if (t->state == TIMER_ABSENT || t->at_ms > m->now_ms) continue;
        switch (t->state) {
        case TIMER_PENDING:
            t->state = TIMER_READY;
            t->fired_ms = m->now_ms;
            break;
        case TIMER_DELIVERED: end_delivery(t, t->at_ms, m->now_ms); break;
        case TIMER_DELAYED: t->state = TIMER_READY; break;
        case TIMER_ACKED:
        case TIMER_CANCELLED: *t = (struct model_timer){0}; break;
        default: break;
        }
    }
}

int model_set(struct model *m, const struct model_set *set, uint64_t *verdict)
{
    struct model_timer *t = &m->timers[set->key];
    bool newer = set->version > t->version;
    bool over = t->state == TIMER_ACKED || t->state == TIMER_CANCELLED;
    if (t->state == TIMER_PENDING && !newer) {
        *verdict = set->version == t->version ? TIMER_SAME : TIMER_OLDER;
        return HF_OK;
    }
    if (t->state == TIMER_CANCELLED && !newer) return HF_ETIMERCANCELLED;
    if (t->state != TIMER_ABSENT && t->state != TIMER_PENDING && !(over && newer)) return HF_EFIRED;
    *verdict = t->state == TIMER_PENDING ? TIMER_REPLACED : TIMER_SCHEDULED;
    *t = (struct model_timer){
        .state = TIMER_PENDING,
        .version = set->version,
        .group = set->group,
        .at_ms = m->now_ms + set->delay_ms,
        .attempts_max = set->attempts_max,
        .payload = set->payload,
    };
    return HF_OK;
}

int model_cancel(struct model *m, int key)
{
    struct model_timer *t = &m->timers[key];
    if (t->state == TIMER_ABSENT) return HF_ENOTFOUND;
    if (t->state == TIMER_CANCELLED) return HF_OK;
    if (t->state != TIMER_PENDING) return HF_EFIRED;
    t->state = TIMER_CANCELLED;
    t->at_ms = m->now_ms + TOMBSTONE_MS;
    return HF_OK;
}

uint32_t model_poll(struct model *m, int group, uint32_t count_max, uint64_t lease_ms,
                    int keys[MODEL_TIMERS])
{
    uint32_t count = 0;
    while (count < count_max) {
        int first = -1;
        for (int i = 0; i < MODEL_TIMERS; i++) {
            const struct model_timer *t = &m->timers[i];
            if (t->state != TIMER_READY || t->group != group) continue;
            if (first < 0 || t->at_ms < m->timers[first].at_ms) first = i;
        }
        if (first < 0) break;
        struct model_timer *t = &m->timers[first];
        t->state = TIMER_DELIVERED;
        t->at_ms = m->now_ms + lease_ms;
        t->attempt++;
        t->token = ++m->token;
        keys[count++] = first;
    }
    return count;
}

int model_ack(struct model *m, int key, uint64_t token)
{
    struct model_timer *t = &m->timers[key];
    if (token > m->token) return HF_EBADREQUEST;
    if (t->state == TIMER_ABSENT) return HF_ENOTFOUND;
    if (t->token != token) return HF_ESTALE;
    if (t->state == TIMER_ACKED) return HF_OK;
    t->state = TIMER_ACKED;
    t->at_ms = m->now_ms + TOMBSTONE_MS;
    return HF_OK;
}

int model_nack(struct model *m, int key, uint64_t token, uint64_t delay_ms, bool *dead)
{
    struct model_timer *t = &m->timers[key];
    if (token > m->token) return HF_EBADREQUEST;
    if (t->state == TIMER_ABSENT) return HF_ENOTFOUND;
    if (t->token != token || t->state != TIMER_DELIVERED) return HF_ESTALE;
    t->token = 0;
    end_delivery(t, m->now_ms + delay_ms, m->now_ms);
    *dead = t->state == TIMER_DEAD;
    return HF_OK;
}

int model_requeue(struct model *m, int key)
{
    struct model_timer *t = &m->timers[key];
    if (t->state == TIMER_ABSENT) return HF_ENOTFOUND;
    if (t->state != TIMER_DEAD) return HF_EBADSTATE;
    t->state = TIMER_READY;
    t->at_ms = m->now_ms;
    t->attempt = 0;
    t->token = 0;
    return HF_OK;
}

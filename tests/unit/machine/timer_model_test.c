/* Random lives of a few timers, seed by seed: the machine against the model, step by step, with
 * jumps of time to the millisecond of a deadline or one before it. A second machine takes the same
 * entries. A failure names its seed and step; SEED=n in the environment runs that seed alone. */
#include <stdio.h>
#include <stdlib.h>

#include "base/prng.h"
#include "base/status.h"
#include "machine/rows.h"
#include "tests/unit/machine/timer_model.h"
#include "tests/unit/machine/timers.h"
#include "tests/unit/seeds.h"

enum { SEEDS = 12, STEPS = 2000, TTL_MS = 3600000 };

static const char *const keys[MODEL_TIMERS] = {"a", "b", "c", "d", "e", "f"};
static const char *const groups[MODEL_GROUPS] = {"g", "gg"};

struct life {
    struct fixture *f;   /* borrowed */
    struct model model;  /* what should be */
    struct prng prng;    /* of the seed */
    uint64_t session;    /* that does it all; opened anew when it has expired */
    uint64_t seq;        /* its last */
    uint64_t expires_ms; /* cluster time */
    uint64_t names;      /* sessions so far */
};

static uint64_t below(struct life *l, uint64_t bound)
{
    return prng_below(&l->prng, bound);
}

/* A number for the next request; opens a session if there is none. */
static uint64_t next_seq(struct life *l)
{
    if (l->expires_ms <= l->model.now_ms) {
        char name[24];
        snprintf(name, sizeof name, "s%u", (unsigned)++l->names);
        l->session = open_session(l->f, name, TTL_MS);
        l->seq = 0;
    }
    l->expires_ms = l->model.now_ms + TTL_MS;
    return ++l->seq;
}

static void payload_of(uint64_t number, char text[24])
{
    snprintf(text, 24, "payload %u", (unsigned)number);
}

/* ------------------------------------------------------------------ steps */

static void step_set(struct life *l, int key)
{
    const uint64_t delays[] = {0, 1, 700, 3000, 20000};
    const struct model_timer *t = &l->model.timers[key];
    struct model_set set = {
        .key = key,
        .group = (int)below(l, MODEL_GROUPS),
        .delay_ms = delays[below(l, 5)],
        .version = t->version + below(l, 3),
        .attempts_max = 1 + below(l, 3),
        .payload = below(l, 1000),
    };
    if (set.version > 0) set.version -= below(l, 2);
    char payload[24];
    payload_of(set.payload, payload);
    struct timer_want want = {keys[key],        groups[set.group],
                              set.delay_ms,     set.version,
                              set.attempts_max, set.payload % 4 != 0 ? payload : NULL};
    struct msg_timer_set_reply reply = {0};
    uint64_t verdict = 0;
    uint64_t seq = next_seq(l);
    int wanted = model_set(&l->model, &set, &verdict);
    assert_int_equal(set_timer(l->f, l->session, seq, want, &reply), wanted);
    if (wanted != HF_OK) return;
    assert_int_equal(reply.verdict, verdict);
    assert_int_equal(reply.version, l->model.timers[key].version);
    uint64_t at_ms = l->model.timers[key].at_ms;
    assert_int_equal(reply.left_ms, at_ms > l->model.now_ms ? at_ms - l->model.now_ms : 0);
}

static void compare_delivery(const struct life *l, const struct timer_delivery *d, int key)
{
    const struct model_timer *t = &l->model.timers[key];
    char payload[24];
    payload_of(t->payload, payload);
    assert_true(slice_equal(d->key, slice_of(keys[key])));
    assert_int_equal(d->version, t->version);
    assert_int_equal(d->attempt, t->attempt);
    assert_int_equal(d->fencing_token, t->token);
    assert_true(slice_equal(d->payload, t->payload % 4 != 0 ? slice_of(payload) : slice_of("")));
}

static void step_poll(struct life *l)
{
    const uint64_t leases[] = {500, 3000, 20000};
    int group = (int)below(l, MODEL_GROUPS);
    uint32_t count_max = 1 + (uint32_t)below(l, 4);
    uint64_t lease_ms = leases[below(l, 3)];
    int delivered[MODEL_TIMERS];
    uint64_t seq = next_seq(l);
    uint32_t wanted = model_poll(&l->model, group, count_max, lease_ms, delivered);
    struct msg_timer_poll_reply reply =
        poll_timers(l->f, l->session, seq, groups[group], count_max, lease_ms);
    assert_int_equal(reply.count, wanted);
    assert_int_equal(reply.deliveries.count, wanted);
    for (uint32_t i = 0; i < wanted; i++) compare_delivery(l, delivery_at(&reply, i), delivered[i]);
    if (below(l, 3) != 0) return;
    reply = poll_timers(l->f, l->session, seq, groups[group], count_max, lease_ms); /* again */
    assert_int_equal(reply.deliveries.count, wanted);
    for (uint32_t i = 0; i < wanted; i++) compare_delivery(l, delivery_at(&reply, i), delivered[i]);
}

/* Mostly the current one, at times an older one's, or nobody's. */
static uint64_t any_token(struct life *l, int key)
{
    uint64_t current = l->model.timers[key].token;
    uint64_t pick = below(l, 10);
    if (pick < 7 && current != 0) return current;
    if (pick == 9) return l->model.token + 1 + below(l, 2);
    uint64_t back = below(l, 6) + 1;
    return l->model.token > back ? l->model.token - back : 1;
}

static void step_end(struct life *l, int key)
{
    const uint64_t delays[] = {0, 1, 700, 5000};
    uint64_t token = any_token(l, key);
    uint64_t seq = next_seq(l);
    if (below(l, 3) == 0) {
        uint64_t delay_ms = delays[below(l, 4)];
        bool dead = false, told = false;
        int wanted = model_nack(&l->model, key, token, delay_ms, &dead);
        int got = nack_timer(l->f, l->session, seq, keys[key], token, delay_ms, &told);
        assert_int_equal(got, wanted);
        assert_int_equal(told, dead);
        return;
    }
    int wanted = model_ack(&l->model, key, token);
    assert_int_equal(ack_timer(l->f, l->session, seq, keys[key], token), wanted);
}

/* Often to the very millisecond of the next deadline, or one before it. */
static void step_time(struct life *l)
{
    const uint64_t jumps[] = {0, 1, 700, 3000, 20000, 86400000};
    uint64_t ms = jumps[below(l, below(l, 20) == 0 ? 6 : 5)];
    uint64_t next_ms = machine_next_deadline_ms(l->f->m);
    if (below(l, 2) == 0 && next_ms != UINT64_MAX && next_ms > l->model.now_ms) {
        ms = next_ms - l->model.now_ms;
        if (below(l, 3) == 0) ms -= 1;
    }
    pass(l->f, ms);
    model_pass(&l->model, ms);
}

static void compare_timers(struct life *l)
{
    struct msg_timer_list_reply list = list_timers(l->f, "", NULL, TIMER_ABSENT, "", 100);
    uint32_t at = 0;
    for (int i = 0; i < MODEL_TIMERS; i++) {
        const struct model_timer *t = &l->model.timers[i];
        if (t->state == TIMER_ABSENT) continue;
        assert_true(at < list.timers.count);
        const struct timer_line *line = (const struct timer_line *)list.timers.items + at++;
        assert_true(slice_equal(line->key, slice_of(keys[i])));
        assert_true(slice_equal(line->group, slice_of(groups[t->group])));
        assert_int_equal(line->state, t->state);
        assert_int_equal(line->version, t->version);
        assert_int_equal(line->fired_ms, t->fired_ms);
        assert_int_equal(line->attempt, t->attempt);
        assert_int_equal(line->fencing_token, t->token);
    }
    assert_int_equal(at, list.timers.count);
}

static void step(struct life *l)
{
    int key = (int)below(l, MODEL_TIMERS);
    uint64_t pick = below(l, 100);
    if (pick < 78) model_pass(&l->model, 0); /* each entry sweeps first */
    if (pick < 25) {
        step_set(l, key);
    } else if (pick < 45) {
        step_poll(l);
    } else if (pick < 65) {
        step_end(l, key);
    } else if (pick < 72) {
        uint64_t seq = next_seq(l);
        int wanted = model_cancel(&l->model, key);
        assert_int_equal(cancel_timer(l->f, l->session, seq, keys[key], NULL), wanted);
    } else if (pick < 78) {
        uint64_t seq = next_seq(l);
        int wanted = model_requeue(&l->model, key);
        assert_int_equal(requeue_timer(l->f, l->session, seq, keys[key]), wanted);
    } else {
        step_time(l);
    }
    assert_int_equal(l->f->now_ms, l->model.now_ms);
    compare_timers(l);
}

static void live(uint64_t seed)
{
    void *state = NULL;
    assert_int_equal(fixture_setup(&state), 0);
    struct life l = {.f = state};
    prng_seed(&l.prng, seed);
    if (seed % 4 == 0) fixture_add_twin(l.f);
    l.model.now_ms = l.f->now_ms;
    for (seeds_step = 0; seeds_step < STEPS; seeds_step++) step(&l);
    assert_int_equal(fixture_teardown(&state), 0);
}

/* Every answer, every state, every delivery is the model's. */
static void test_random_timers_are_those_of_the_model(void **state)
{
    (void)state;
    seeds_live(SEEDS, live);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_random_timers_are_those_of_the_model, seeds_tell),
    };
    return cmocka_run_group_tests_name("machine_timer_model", tests, NULL, NULL);
}

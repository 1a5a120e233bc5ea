/* What the tests of leases and holds share: a script per test, a lock that is held, and short words
 * for what the core believes. */
#ifndef TESTS_UNIT_CLIENT_LEASE_FIXTURE_H
#define TESTS_UNIT_CLIENT_LEASE_FIXTURE_H

#include "tests/unit/client/script_fixture.h"

/* ttl 10 s, drift 1 %, margin 20 ms */
#define LEASE (9900 * MS - 20 * MS)

/* Take lock "a" under `token`; the answer comes at once. */
static inline struct grant_ref hold(uint64_t token)
{
    struct call *call = script_acquire(&s, 0, 0, FATE_CANCEL);
    if (s.core.link.state != LINK_READY) script_open_session(&s);
    script_grant(&s, script_expect(&s, OP_CODE_ACQUIRE), token);
    struct grant_ref ref = call->grant;
    script_finish(&s, call, HF_OK);
    return ref;
}

static inline uint64_t left(struct grant_ref ref)
{
    return grants_left_ns(&s.core.grants, ref, s.now_ns);
}

static inline enum grants_word word(struct grant_ref ref)
{
    return grants_state(&s.core.grants, ref, s.now_ns);
}

static inline uint32_t count_losses(uint64_t token, bool locally)
{
    struct grant_loss loss;
    uint32_t count = 0;
    while (core_take_loss(&s.core, &loss)) {
        assert_int_equal(loss.token, token);
        assert_int_equal(loss.locally, locally);
        count += 1;
    }
    return count;
}

#endif

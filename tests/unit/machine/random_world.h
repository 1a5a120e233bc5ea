/* What the files of the random test share: the world that is driven, and how an op is drawn.
 *   random_test.c   rounds, requests of holders and waiters, what must be true after an entry
 *   random_admin.c  what administrators do */
#ifndef TESTS_UNIT_MACHINE_RANDOM_WORLD_H
#define TESTS_UNIT_MACHINE_RANDOM_WORLD_H

#include "base/prng.h"
#include "tests/unit/cmocka_all.h"
#include "tests/unit/machine/fixture.h"
#include "tests/unit/machine/model.h"

enum { LOG_MAX = 4000, OPS_AN_ENTRY_MAX = 4, SENT_MAX = 24 };

/** A request that was sent, for retries. */
struct sent {
    uint64_t session;  /**< 0 = none */
    uint64_t seq;      /**< its number */
    struct want want;  /**< an ACQUIRE */
    bool answered;     /**< else it waits */
    int status;        /**< of the answer */
    uint8_t body[256]; /**< its bytes */
    size_t body_bytes; /**< of them */
};

/** What an op of this entry must answer. */
struct expected {
    int status;        /**< or MODEL_PARKED */
    struct sent *sent; /**< an ACQUIRE's */
    bool is_retry;     /**< of an earlier one */
};

struct world {
    unsigned frozen;               /**< bit i: prefix i of random_freeze() */
    struct fixture *f;             /**< the machine and its twin */
    struct model model;            /**< what they are held against */
    struct prng prng;              /**< of the seed */
    uint64_t seqs[MODEL_SESSIONS]; /**< last seq used */
    struct sent sent[SENT_MAX];
    struct expected expected[OPS_AN_ENTRY_MAX];
    uint32_t op_count;
    unsigned opened;            /**< sessions so far: names their secrets */
    struct buffer log[LOG_MAX]; /**< all entries since the last checkpoint */
    unsigned log_count;
    uint64_t index; /**< of the last entry */
    uint64_t seed;
};

static inline uint64_t below(struct world *w, uint64_t bound)
{
    return prng_below(&w->prng, bound);
}

static inline struct envelope envelope_for(uint64_t session, uint64_t seq)
{
    return (struct envelope){.session = session, .seq = seq, .renews = 1};
}

static inline void renew(struct model_session *s, uint64_t now_ms)
{
    s->expires_ms = now_ms + s->ttl_ms;
}

/** What the op that is added next must answer. */
struct expected *random_expect(struct world *w, int status);

/** A grant of this session whose token the machine has told. \param at Out: in the model */
bool random_find_held(struct world *w, uint64_t session, unsigned *at);

/** One of a grant's names, whichever. */
const char *random_name_of(struct world *w, const struct model_user *user);

/* Ops of administrators, in the name of a session that lives. */
void random_force(struct world *w, unsigned session);
void random_revoke(struct world *w, unsigned session);
void random_freeze(struct world *w, unsigned session);

#endif

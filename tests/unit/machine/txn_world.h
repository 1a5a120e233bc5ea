/* A world for random TXNs: two sessions, a few locks, records and timers, and the tokens that the
 * machine has told of them. Between TXNs it moves by requests of both; a TXN's ops are drawn here,
 * by tokens that are current, old, or of something else. */
#ifndef TESTS_UNIT_MACHINE_TXN_WORLD_H
#define TESTS_UNIT_MACHINE_TXN_WORLD_H

#include "base/prng.h"
#include "tests/unit/machine/txn_rig.h"

enum {
    WORLD_KNOWN_MAX = 64,
    WORLD_CALLS_MAX = 4096,
};

/* A token that the machine has told. */
struct txn_known {
    uint64_t token; /* of a grant or an attempt */
    uint64_t owner; /* of the grant */
    unsigned name;  /* lock or record */
};

/* The last ones of one kind. */
struct txn_known_list {
    struct txn_known items[WORLD_KNOWN_MAX];
    unsigned count; /* ever told */
};

/* A request that may have been parked. */
struct txn_asked {
    uint16_t op;
    unsigned name;
    uint64_t owner;
};

struct txn_world {
    struct fixture *f;
    struct prng prng;
    uint64_t sessions[2]; /* the first one sends the TXNs */
    uint64_t seq;         /* last used, of both */
    uint64_t ack;         /* of the first one: moves with each TXN */
    struct txn_asked asked[WORLD_CALLS_MAX];
    struct txn_known_list grants;
    struct txn_known_list attempts;
};

/* An op of a TXN: the request, and what it answers alone. */
struct txn_drawn {
    uint16_t op;
    unsigned name; /* lock, record or timer */
    union {
        struct msg_release release;
        struct msg_begin begin;
        struct msg_complete complete;
        struct msg_timer_set set;
        struct msg_timer_cancel cancel;
    } request;
    int status;       /* alone */
    uint64_t verdict; /* of OK */
    uint8_t body[2048];
    size_t body_bytes;
    int rank; /* in which order the copy does it */
};

/** Less than `bound`. */
uint64_t txn_below(struct txn_world *w, uint64_t bound);
bool txn_one_in(struct txn_world *w, uint64_t n);

/** Open both sessions. \param f  borrowed; fresh */
void txn_world_open(struct txn_world *w, struct fixture *f, uint64_t seed);

/** Remember a token. */
void txn_learn(struct txn_known_list *list, struct txn_known known);

/** Remember the tokens that parked requests were woken with in the last entry. */
void txn_learn_woken(struct txn_world *w);

/** A number for a request of either session. \param op, name, owner  what its answer is of; 0 */
uint64_t txn_next_seq(struct txn_world *w, uint16_t op, unsigned name, uint64_t owner);

struct envelope txn_envelope(struct txn_world *w, uint64_t session, uint64_t seq);

/** A random request, or time. */
void txn_move(struct txn_world *w);

/** Ops that a TXN may have together. \param ops  Out: room for TXN_OPS_MAX. \return how many */
uint32_t txn_draw(struct txn_world *w, struct txn_drawn *ops);

#endif

/* TXNs for tests of them: built op by op, sent, their answers taken apart; and copies of a machine,
 * to ask "what if". */
#ifndef TESTS_UNIT_MACHINE_TXN_RIG_H
#define TESTS_UNIT_MACHINE_TXN_RIG_H

#include "tests/unit/machine/fixture.h"

enum { TXN_RIG_LEASE_MS = 5000 };

/** A TXN being built. */
struct txn_draft {
    struct txn_op ops[TXN_OPS_MAX];                 /**< in use as far as `count` */
    struct buffer bodies[TXN_OPS_MAX];              /**< owned; their requests */
    uint64_t answers[TXN_OPS_MAX][TXN_ANSWERS_MAX]; /**< that they accept */
    uint32_t count;                                 /**< of them */
};

void txn_draft_open(struct txn_draft *draft);
void txn_draft_close(struct txn_draft *draft);

/** Forget all its ops. */
void txn_draft_clear(struct txn_draft *draft);

/** Add an op. \param request a struct of its request type. \param verdicts 1 << verdict, or-ed, of
 * OK that are accepted. */
void txn_add(struct txn_draft *draft, uint16_t op, const void *request, uint64_t verdicts);

/** Let the last one accept a further answer; by rising numbers (-11 before -12). */
void txn_accept(struct txn_draft *draft, int answer);

/** The request; borrowed from the draft. */
struct msg_txn txn_request(const struct txn_draft *draft);

/** Send it. \return its answer; borrowed until the next entry */
const struct answer *txn_send(struct fixture *f, uint64_t session, uint64_t seq,
                              const struct txn_draft *draft);

/** One op's result of an answer that is OK; fails the test if there is none. */
struct txn_result txn_result_at(struct fixture *f, const struct answer *answer, uint32_t at);

/** Decode a result. \param out a struct of op_reply_type() of its op and status */
void txn_read(const struct txn_result *result, void *out);

/* ------------------------------------------------------------------ requests */

/** A BEGIN with a lease of its own; `body` of the fingerprint's first byte. */
struct msg_begin txn_begin(const char *key, uint8_t fingerprint);

/** A COMPLETE. */
struct msg_complete txn_complete(const char *key, uint64_t token, uint64_t outcome);

/** BEGIN alone that must start. \return the token */
uint64_t txn_begin_ok(struct fixture *f, uint64_t session, uint64_t seq, const char *key);

/* ------------------------------------------------------------------ copies */

/** A second fixture with the same rows and the same time; calloc'ed. */
struct fixture *txn_copy(const struct fixture *f);
void txn_copy_free(struct fixture *copy);

/** Fails the test at the first row in which two machines differ, but for stored replies and what
 * sessions count of them. */
void txn_same_rows(const struct fixture *f, const struct fixture *other);

#endif

/* One participant: a ledger with its accounts, in SQLite. What makes it fit for TCC stands in
 * ledger_phase(): each phase is one local transaction that first claims (gid, branch) in the guard
 * with the phase's fencing token, then reads what an earlier attempt left, then writes.
 *
 * A debit's try takes the money out of the account and keeps it as a hold; its confirm makes an
 * entry of the hold, its cancel puts the money back. A credit's try only notes a hold (and so knows
 * that the account takes money); its confirm books it. Nothing but the barrier and the guard keeps
 * a transfer from being booked twice: entries have no unique constraint. */
#ifndef EXAMPLES_TCC_LEDGER_H
#define EXAMPLES_TCC_LEDGER_H

#include <stdint.h>

struct ledger; /**< a connection to it; one thread at a time */

enum { CODE_DONE = 200, CODE_FUNDS = 402, CODE_CLOSED = 410 }; /* as in HTTP */

/** One ledger's part of a transfer: a branch of it. */
struct leg {
    struct ledger *ledger; /**< borrowed: whose part */
    const char *gid;       /**< the transfer; borrowed */
    const char *branch;    /**< "debit" or "credit"; borrowed */
    const char *account;   /**< in the ledger; borrowed */
    int64_t cents;         /**< what the account is to gain; below 0: a debit */
};

/** What a phase came to. */
enum phase_result {
    PHASE_COMMITTED, /**< it is done, now or by an earlier attempt */
    PHASE_REFUSED,   /**< a try that cannot be: nothing is held */
    PHASE_FENCED,    /**< somebody with a greater token has been here; nothing changed */
};

/** Open the ledger in a file. This and all below end the process with a sentence if SQLite fails.
 * \param guarded  0: claim nothing, to show what the guard is for.
 * \return owned: ledger_close() it. */
struct ledger *ledger_open(const char *path, int guarded);

/** Close it; NULL is accepted. */
void ledger_close(struct ledger *ledger);

/** Make the tables, and `count` accounts "0", "1", ... with `cents` each; the last one is closed.
 */
void ledger_make(struct ledger *ledger, int count, int64_t cents);

/** Run a phase of a branch in one local transaction.
 * \param op     HF_BRANCH_TRY, HF_BRANCH_CONFIRM or HF_BRANCH_CANCEL.
 * \param token  of the phase, also of an empty rollback.
 * \param code   Out: CODE_DONE, or why it was refused. Not written if it was fenced. */
enum phase_result ledger_phase(const struct leg *leg, int op, uint64_t token, uint32_t *code);

/** One number from a query that gives one row, with an optional text parameter (NULL = none). */
int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter);

#endif

/* The shop's ledger: accounts and orders, in SQLite. Each function is one local transaction that
 * reads what stands before it writes, so each may be done again after a death.
 *
 * A payment first takes its money out of the account and keeps it beside the order (a hold);
 * booked, the shop has it; given back, the account has it again. What happened to an order is also
 * noted as an entry. Entries have no unique constraint: they are there to count what was done
 * twice. */
#ifndef EXAMPLES_ORDER_LEDGER_H
#define EXAMPLES_ORDER_LEDGER_H

#include <stddef.h>
#include <stdint.h>

struct ledger; /**< a connection to it; one thread at a time */

enum { ORDER_ID_BYTES = 16 };

/** An order as it was placed. */
struct order {
    char id[ORDER_ID_BYTES]; /**< unique in the ledger */
    char account[16];        /**< who pays */
    int64_t cents;           /**< how much; above 0 */
};

/** How an order is. */
enum order_state { ORDER_OPEN, ORDER_PAID, ORDER_EXPIRED };

/** What an expiry came to. */
enum expiry {
    EXPIRY_COMMITTED, /**< it is expired, now or by an earlier delivery */
    EXPIRY_FENCED,    /**< a later delivery has been here; nothing changed */
    EXPIRY_PAID,      /**< it was paid: the arbiter was not asked. Nothing changed */
};

/** Open the ledger in a file. This and all below end the process with a sentence if SQLite fails.
 * \return owned: ledger_close() it. */
struct ledger *ledger_open(const char *path);

/** Close it; NULL is accepted. */
void ledger_close(struct ledger *ledger);

/** Make the tables, `count` accounts "0", "1", ... with `cents` each, and the shop's with none. */
void ledger_make(struct ledger *ledger, int count, int64_t cents);

/** Note an order; one that is noted stays as it is. */
void ledger_place(struct ledger *ledger, const struct order *order);

/** Take the money of an open order out of its account; if it is held, nothing changes.
 * \param state Out: of the order. \return 1 it is held, or the order is not open; 0 too little
 * money, nothing changed. */
int ledger_hold(struct ledger *ledger, const char *id, enum order_state *state);

/** The payment came in time: the shop gets what is held, the order is paid.
 * \return 1, now or by an earlier attempt; 0 the order has expired: nothing changed. */
int ledger_book(struct ledger *ledger, const char *id);

/** The payment came too late: the account gets back what is held, if anything is. */
void ledger_give_back(struct ledger *ledger, const char *id);

/** The time-out was delivered: the order is expired, and what is held goes back.
 * \param token  of the delivery: once a greater one has been here, it is refused. */
enum expiry ledger_expire(struct ledger *ledger, const char *id, uint64_t token);

/** One number from a query that gives one row, with an optional text parameter (NULL = none). */
int64_t ledger_number(struct ledger *ledger, const char *query, const char *parameter);

#endif

/* Guarded resources, as a user's database or provider would be, and the ledgers of what really
 * happened to them, which know nothing of holdfast. Files, locked for each access; processes share
 * them. Each access that writes ends with one append of a record that never crosses a page, or one
 * write of 16 bytes: who is killed within it leaves it done or undone.
 *
 * An account keeps the greatest fencing token that it has seen and refuses writes below it; a
 * payment is looked for by its key when a token claims the account, in one step, so that no older
 * holder's effect can come between (contract, 5). A provider keeps a token for each key and looks
 * for nothing: twice asked under good tokens, it pays twice. */
#ifndef JEPSEN_RUN_GUARD_H
#define JEPSEN_RUN_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GUARD_KEY_BYTES = 24, GUARD_RECORD_BYTES = 64 };

/** A record of a ledger: an effect, or a key that was closed for tokens below `token`. */
struct guard_record {
    char key[GUARD_KEY_BYTES]; /**< the payment's */
    uint64_t token;            /**< under which it was written */
    uint64_t value;            /**< 0 = no effect: the key was closed */
};

/** Claim an account: from now on smaller tokens are refused. \param path  the account's file, made
 * if absent; its ledger is beside it. \param mark  what a read shows until something is paid.
 * \param paid  Out: the value of this key's effect; 0 = there is none.
 * \return false: a greater token was seen before, nothing changed. */
bool guard_claim(const char *path, uint64_t token, uint64_t mark, const char *key, uint64_t *paid);

/** Pay from an account that `token` has claimed. \param value 1 or more.
 * \return false: a greater token was seen meanwhile, nothing changed. */
bool guard_pay(const char *path, uint64_t token, uint64_t value, const char *key);

/** What was written to an account last. \param value  Out. \return false: nothing ever was. */
bool guard_read(const char *path, uint64_t *value);

/** Have a provider pay. \param path  its ledger, made if absent. \param value 1 or more.
 * \return false: the key was closed for this token, or a greater one was seen. */
bool guard_provider_pay(const char *path, uint64_t token, uint64_t value, const char *key);

/** Ask a provider whether a key was paid; if not, close it for tokens below `token`, so that what
 * is late cannot come any more. \param paid  Out: the effect's value; 0 = there is none. \return
 * false: it was not paid, and a greater token was seen: somebody else is further. */
bool guard_provider_close(const char *path, uint64_t token, const char *key, uint64_t *paid);

/** Read a ledger from its begin, for who audits it. A file that is not there is empty.
 * \param each  called for each record. \return false: it cannot be read, or a record is malformed.
 */
bool guard_audit(const char *path, void (*each)(const struct guard_record *r, void *data),
                 void *data);

/** The same of an account's ledger. \param path  the account's file. */
bool guard_audit_account(const char *path, void (*each)(const struct guard_record *r, void *data),
                         void *data);

#endif

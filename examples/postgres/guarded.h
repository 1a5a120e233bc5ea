/* Transactions of PostgreSQL that an older holder of a lock cannot commit: the part to copy.
 * guard.sql must have been run in the database. Everything but a claim that was refused ends the
 * process with a sentence: what was not committed is rolled back then, and whether a COMMIT without
 * an answer took place is found out by whoever resolves the record. */
#ifndef EXAMPLES_POSTGRES_GUARDED_H
#define EXAMPLES_POSTGRES_GUARDED_H

#include <libpq-fe.h>
#include <stdint.h>

/** Connect. \param where  as libpq takes it: "host=/run/postgresql dbname=bank".
 * \return owned: PQfinish() it. */
PGconn *guarded_connect(const char *where);

/** Begin a transaction and claim `resource` in it for `token`.
 * \return 1 claimed; 0 fenced off: a newer holder has been here, and nothing is under way. */
int guarded_begin(PGconn *db, const char *resource, uint64_t token);

/** One statement, with its parameters as text. \return owned: PQclear() it. */
PGresult *guarded_run(PGconn *db, const char *sql, int count, const char *const *parameters);

/** One that returns nothing: "COMMIT", "ROLLBACK", an UPDATE. */
void guarded_do(PGconn *db, const char *sql, int count, const char *const *parameters);

/** One that returns one whole number. */
int64_t guarded_number(PGconn *db, const char *sql, int count, const char *const *parameters);

#endif

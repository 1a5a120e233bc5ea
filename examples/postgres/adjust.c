/* postgres_adjust: adds something to an account whose new balance is worked out elsewhere, for as
 * long as that takes. No transaction may be open meanwhile, so the read is one and the write
 * another, and only the lock on the account keeps others out in between. Both claim the guard: the
 * read, so that an older holder writes no more; the write, so that it is refused if a newer one has
 * read.
 *
 *   postgres_adjust WHERE ACCOUNT CENTS [--stop-before-write]
 *
 * --stop-before-write stops the process itself between its last check and the write, where no
 * client library can help. Exit codes as of `holdfast lock`: 70 the lock was lost and nothing
 * written, 75 not acquired. */
#include <holdfast.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "examples/postgres/guarded.h"

enum {
    TTL_MS = 2000,
    WAIT_MS = 10000,
    WRITE_MS_MAX = 300, /* what the write may take: do not begin it with less of the lease left */
    NUMBER_BYTES = 24,
    EXIT_USE = 64,
    EXIT_LOST = 70,
    EXIT_AGAIN = 75,
};

static int adjust(PGconn *db, const char *account, int64_t cents, const hf_grant *grant, int stop)
{
    char after[NUMBER_BYTES];
    const char *const parameters[] = {account, after};
    if (!guarded_begin(db, account, grant->fencing_token)) return EXIT_LOST;
    int64_t balance = guarded_number(db, "SELECT cents FROM accounts WHERE id = $1", 1, parameters);
    guarded_do(db, "COMMIT", 0, NULL);

    (void)snprintf(after, sizeof after, "%" PRId64, balance + cents); /* "elsewhere" */

    if (!hf_grant_valid(grant, WRITE_MS_MAX)) return EXIT_LOST;
    if (stop) (void)raise(SIGSTOP);
    if (!guarded_begin(db, account, grant->fencing_token)) return EXIT_LOST;
    guarded_do(db, "UPDATE accounts SET cents = $2 WHERE id = $1", 2, parameters);
    guarded_do(db, "COMMIT", 0, NULL);
    return 0;
}

static int adjust_locked(PGconn *db, hf_client *client, char **argv, int stop)
{
    hf_lock *lock = NULL;
    hf_grant grant;
    int rv = hf_lock_new(client, &lock);
    if (rv == HF_OK) rv = hf_lock_acquire(lock, argv[2], WAIT_MS, &grant, NULL);
    int code = EXIT_AGAIN;
    if (rv == HF_OK) code = adjust(db, argv[2], strtoll(argv[3], NULL, 10), &grant, stop);
    if (rv != HF_OK)
        fprintf(stderr, "adjust: %s was not locked: %s\n", argv[2], hf_status_text(rv));
    if (code == EXIT_LOST) fprintf(stderr, "adjust: %s was lost; nothing was written\n", argv[2]);
    hf_lock_free(lock); /* gives it back in the background; lost or not, the guard has decided */
    return code;
}

int main(int argc, char **argv)
{
    int stop = argc == 5 && strcmp(argv[4], "--stop-before-write") == 0;
    if (argc != 4 + stop) {
        fprintf(stderr, "use: postgres_adjust WHERE ACCOUNT CENTS [--stop-before-write]\n");
        return EXIT_USE;
    }
    hf_client *client = NULL;
    hf_options options;
    hf_options_init(&options);
    options.ttl_ms = TTL_MS;
    PGconn *db = guarded_connect(argv[1]);
    int rv = hf_client_open(&options, &client);
    int code = EXIT_AGAIN;
    if (rv == HF_OK) code = adjust_locked(db, client, argv, stop);
    if (rv != HF_OK) fprintf(stderr, "adjust: no client: %s\n", hf_status_text(rv));
    hf_client_close(client);
    PQfinish(db);
    return code;
}

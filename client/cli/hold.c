#include "client/cli/hold.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/interrupt.h"
#include "client/cli/refusal.h"
#include "client/cli/run_command.h"
#include "client/cli/words.h"

static void on_loss(hf_client *client, const hf_loss *loss, void *data)
{
    (void)client;
    (void)loss;
    (void)data;
    run_wake();
}

/* What is left of the grace, and 1; 0 = nobody asks. This process has one grant. */
static _Atomic uint64_t asked_left = 0;

static void on_asked(hf_client *client, const hf_asked *asked, void *data)
{
    (void)client;
    (void)data;
    asked_left = asked->left_ms + 1;
    run_wake();
}

static bool gives_back(void *data)
{
    struct hold *h = data;
    uint64_t left = asked_left;
    bool ends = h->on_revoke != NULL && strcmp(h->on_revoke, "term") == 0;
    if (left == 0) return false;
    if (!h->told) {
        cli_warn("an administrator asks %s back, and waits %" PRIu64 " ms longer; \"%s\" %s",
                 h->title, left - 1, h->command,
                 ends ? "gets TERM" : "goes on: --on-revoke term would end it");
    }
    h->told = true;
    return ends;
}

static uint64_t left_ms(void *data)
{
    const struct hold *h = data;
    return hf_grant_left_ms(&h->grant);
}

static int acquire(struct hold *h, const char *command, uint64_t wait_ms)
{
    const char *meta = h->meta != NULL ? h->meta : command;
    const hf_acquire how = {
        .wait_ms = wait_ms,
        .mode = h->mode,
        .meta = meta,
        .meta_bytes = strnlen(meta, META_BYTES_MAX),
        .permits = (uint32_t)h->permits,
        .limit = (uint32_t)h->limit,
    };
    return hf_lock_acquire_many(h->lock, h->names, (size_t)h->name_count, &how, &h->grant, NULL);
}

static void make_title(struct hold *h)
{
    const char *many = h->name_count > 1 && h->mode != HF_PERMITS ? "s" : "";
    int size = snprintf(h->title, sizeof h->title, "the %s%s \"%s\"", h->what, many, h->names[0]);
    HF_ASSERT(size > 0 && (size_t)size < sizeof h->title);
    if (h->name_count == 1) return;
    int more = snprintf(h->title + size, sizeof h->title - (size_t)size, " and %d more",
                        h->name_count - 1);
    HF_ASSERT(more > 0 && (size_t)(size + more) < sizeof h->title);
}

static int tell_not_acquired(const struct cli *cli, const struct hold *h, int status)
{
    const char *some = h->name_count > 1 ? "some of " : "";
    char why[REFUSAL_BYTES];
    refusal_text(hf_lock_refusal(h->lock), why);
    switch (status) {
    case HF_EBUSY:
        return cli_fail(CLI_TRY_AGAIN,
                        "others hold %s%s, or wait for it%s; try later, or wait with --wait MS",
                        some, h->title, why);
    case HF_EDELAYED:
        return cli_fail(CLI_TRY_AGAIN,
                        "the last holder of %s%s was lost, and its lock-delay runs%s; try later, "
                        "or wait with --wait MS",
                        some, h->title, why);
    case HF_EDEADLOCK:
        return cli_fail(CLI_TRY_AGAIN,
                        "to wait for %s%s would be a deadlock%s; let one of them release first",
                        some, h->title, why);
    case HF_EWAITTIMEOUT:
        return cli_fail(CLI_TRY_AGAIN,
                        "others held %s%s for all of %" PRIu64 " ms; try later, or wait longer",
                        some, h->title, h->wait_ms);
    case HF_ELIMIT:
        return cli_fail(CLI_TRY_AGAIN,
                        "%s%s cannot be had now: a lock of that name is in use with another limit, "
                        "or as a shared one; use one --limit everywhere",
                        some, h->title);
    default: return cli_fail_status(cli, status, "acquire the lock");
    }
}

static int tell_interrupted(const struct hold *h, int number, int status)
{
    if (status == HF_ETIMEOUT) {
        return cli_fail(128 + number,
                        "interrupted before %s came; nothing was run, but no server confirmed that "
                        "the queue was left: that is so with the lease, in at most %" PRIu64 " ms",
                        h->title, h->ttl_ms);
    }
    return cli_fail(128 + number,
                    "interrupted before %s came; nothing was run, and the queue was left",
                    h->title);
}

static int tell_not_started(const struct args *args, int error)
{
    if (error == ENOENT || error == ENOTDIR) {
        return cli_fail(CLI_NO_COMMAND, "there is no command \"%s\"; nothing was run",
                        args->command[0]);
    }
    return cli_fail(error == EACCES || error == ENOEXEC ? CLI_CANNOT_RUN : CLI_SYSTEM,
                    "\"%s\" could not be run: %s; nothing was run", args->command[0],
                    text_of_errno(error));
}

/* The lock is held: run, release, and say how it ended. */
static int run_held(const struct args *args, struct hold *h)
{
    struct run_result result;
    const struct run_order order = {
        .command = args->command,
        .token = h->grant.fencing_token,
        .lease_ms = h->ttl_ms,
        .left_ms = left_ms,
        .gives_back = gives_back,
        .data = h,
    };
    run_command(&order, &result);
    bool held = hf_grant_valid(&h->grant, 0) != 0;
    bool lost = (result.stopped && !result.given_back) || !held;
    /* A lost grant is given back in the background: nobody waits for a server to confirm that. */
    int released = lost ? HF_OK : hf_lock_release(h->lock, &h->grant, NULL);
    if (result.error != 0) return tell_not_started(args, result.error);
    if (lost) {
        return cli_fail(
            CLI_LOST,
            "the lease of %s was lost, so \"%s\" was %s; find out how far it came before "
            "you run it again",
            h->title, args->command[0], result.stopped ? "stopped" : "not protected to its end");
    }
    if (released != HF_OK) {
        cli_warn("the command ended under %s, but no server confirmed the release (%s): it comes "
                 "with the end of the lease, in at most %" PRIu64 " ms",
                 h->title, hf_status_name(released), h->ttl_ms);
    }
    if (result.given_back) {
        return cli_fail(CLI_LOST,
                        "%s was asked back, so \"%s\" was stopped; find out how far it came before "
                        "you run it again",
                        h->title, args->command[0]);
    }
    return result.exit_code;
}

static int check_names(const struct verb *verb, const struct hold *h)
{
    for (int i = 0; i < h->name_count; i++) {
        int rv = name_check(verb, h->names[i], 1);
        if (rv != CLI_OK) return rv;
        for (int k = 0; k < i; k++) {
            if (strcmp(h->names[i], h->names[k]) != 0) continue;
            return cli_fail(CLI_USAGE, "`%s` was given the name \"%s\" twice; name each once",
                            verb->name, h->names[i]);
        }
    }
    return CLI_OK;
}

int hold_take_names(const struct verb *verb, const struct args *args, int max, struct hold *h)
{
    int rv = args_expect(verb, args, 1, max, true);
    if (rv != CLI_OK) return rv;
    h->names = args->words;
    h->name_count = args->word_count;
    h->command = args->command[0];
    const char *what = h->on_revoke;
    if (what != NULL && strcmp(what, "ignore") != 0 && strcmp(what, "term") != 0)
        return cli_fail(CLI_USAGE, "`%s` does not know --on-revoke \"%s\"; say ignore or term",
                        verb->name, what);
    rv = check_names(verb, h);
    if (rv == CLI_OK) make_title(h);
    return rv;
}

int hold_check_meta(const struct verb *verb, const char *option, const char *text)
{
    size_t size = strlen(text);
    if (size >= 1 && size <= META_BYTES_MAX) return CLI_OK;
    return cli_fail(CLI_USAGE, "`%s` was given a %s of %zu bytes; it has 1 to %d", verb->name,
                    option, size, META_BYTES_MAX);
}

/* A wait ends without the lock when it is over, or when the session ended under it: one that has
 * all the time there is begins anew, at the end of the queue. */
static int wait_for_it(struct hold *h, const char *command)
{
    int status;
    do {
        status = acquire(h, command, h->patient ? WAIT_MS_MAX : h->wait_ms);
    } while (h->patient && interrupt_signal() == 0 &&
             (status == HF_EWAITTIMEOUT || status == HF_ESESSION || status == HF_ELOST));
    return status;
}

int hold_run(struct cli *cli, const struct args *args, struct hold *h)
{
    cli->asked_cb = on_asked;
    int rv = cli_open(cli, h->ttl_ms, 0, on_loss);
    if (rv != CLI_OK) return rv;
    int status = hf_lock_new(cli->client, &h->lock);
    interrupt_begin(cli->client);
    if (status == HF_OK) status = acquire(h, args->command[0], 0);
    bool busy = status == HF_EBUSY || status == HF_EDELAYED;
    if (busy && (h->wait_ms > 0 || h->patient) && interrupt_signal() == 0) {
        /* Not at first: that nobody is there shall be told soon. */
        status = wait_for_it(h, args->command[0]);
    }
    int interrupted = interrupt_end();
    if (interrupted != 0) {
        rv = tell_interrupted(h, interrupted, status);
    } else {
        rv = status == HF_OK ? run_held(args, h) : tell_not_acquired(cli, h, status);
    }
    hf_lock_free(h->lock);
    return rv;
}

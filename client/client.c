/* Opening and closing a client, and its settings. hf_client_open() checks them, makes the core and
 * starts the thread; no session yet. hf_client_close() closes the session in the order of what was
 * asked before (releases, ABANDONs and completions still under way go first), waits for the answer
 * at most one time-out, and takes everything down. */
#include "client/shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/prng.h"
#include "client/history_file.h"
#include "client/io.h"
#include "client/look.h"

enum { TTL_MS_DEFAULT = 10000, TIMEOUT_MS_DEFAULT = 10000, TIMEOUT_MS_MAX = 3600000 };
enum { PROGRESS_MS_MAX = 86400000, BREAKER_MS_MAX = 86400000 };
enum {
    BREAKER_AFTER_MS_DEFAULT = 5000,
    BREAKER_OPEN_MS_DEFAULT = 1000,
    RETRIES_PER_S_DEFAULT = 100
};
enum { MARGIN_MS_DEFAULT = 20, DRIFT_PPM_DEFAULT = 10000 };

const char *hf_status_text(int status)
{
    return status_text(status);
}

const char *hf_status_name(int status)
{
    return status_name(status);
}

void hf_options_init(hf_options *options)
{
    *options = (hf_options){.ttl_ms = TTL_MS_DEFAULT,
                            .timeout_ms = TIMEOUT_MS_DEFAULT,
                            .margin_ms = MARGIN_MS_DEFAULT,
                            .drift_ppm = DRIFT_PPM_DEFAULT,
                            .breaker_after_ms = BREAKER_AFTER_MS_DEFAULT,
                            .breaker_open_ms = BREAKER_OPEN_MS_DEFAULT,
                            .retries_per_s = RETRIES_PER_S_DEFAULT};
}

static void draw(void *out, size_t bytes, void *data)
{
    (void)data;
    random_bytes(out, bytes);
}

static void find_program(char *out, size_t bytes)
{
    FILE *file = fopen("/proc/self/comm", "re");
    if (file == NULL || fgets(out, (int)bytes, file) == NULL) out[0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (file != NULL) (void)fclose(file);
}

/* PROGRAM@HOST:PID */
static size_t make_name(char *out, size_t bytes)
{
    char program[32];
    find_program(program, sizeof program);
    char host[64] = "?";
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    int size = snprintf(out, bytes, "%.100s@%s:%ld", program, host, (long)getpid());
    return size > 0 && (size_t)size < bytes ? (size_t)size : 0;
}

static int configure(const hf_options *options, struct core_config *config, char *name)
{
    const char *servers = options->servers;
    if (servers == NULL) servers = getenv("HOLDFAST_SERVERS");
    if (servers == NULL || servers[0] == '\0') servers = "127.0.0.1:7420";
    *config = (struct core_config){
        .servers = servers,
        .name = shell_text(options->name),
        .meta = slice_make(options->meta, options->meta != NULL ? options->meta_bytes : 0),
        .ttl_ms = options->ttl_ms,
        .margin_ms = options->margin_ms,
        .drift_ppm = options->drift_ppm,
        .breaker_after_ms = options->breaker_after_ms,
        .breaker_open_ms = options->breaker_open_ms,
        .retries_per_s = options->retries_per_s,
        .stale_reads = options->stale_reads != 0,
        .progress_ms = options->progress_ms,
        .random_cb = draw,
    };
    if (options->name == NULL) config->name = slice_make(name, make_name(name, NAME_BYTES_MAX));
    if (options->progress_ms > PROGRESS_MS_MAX) return HF_EINVAL;
    if (options->breaker_after_ms > BREAKER_MS_MAX) return HF_EINVAL;
    if (options->breaker_open_ms < 1 || options->breaker_open_ms > TIMEOUT_MS_MAX) return HF_EINVAL;
    if (options->timeout_ms < 1 || options->timeout_ms > TIMEOUT_MS_MAX) return HF_EINVAL;
    struct msg_hello hello = {1, 1, config->name};
    return codec_check(&msg_hello_type, &hello) == HF_OK ? HF_OK : HF_EINVAL;
}

/* The core, and the thread under it. */
static int start(hf_client *client, struct core_config *config)
{
    if (client->history != NULL) config->history = history_file_sink(client->history);
    pthread_mutex_init(&client->lock, NULL);
    int rv = core_init(&client->core, config);
    if (rv == HF_OK) {
        client->core.progress_ns = shell_now(client);
        rv = io_start(client);
        if (rv == HF_OK) return HF_OK;
        core_close(&client->core);
    }
    pthread_mutex_destroy(&client->lock);
    return rv;
}

int hf_client_open(const hf_options *options, hf_client **out)
{
    hf_options defaults;
    struct core_config config;
    char name[NAME_BYTES_MAX];
    hf_options_init(&defaults);
    if (options == NULL) options = &defaults;
    if (out == NULL || configure(options, &config, name) != HF_OK) return HF_EINVAL;
    hf_client *client = calloc(1, sizeof *client);
    if (client == NULL) return HF_ENOMEM;
    client->clock = clock_real();
    client->fork_count = shell_fork_count();
    client->timeout_ms = options->timeout_ms;
    client->lost_cb = options->lost_cb;
    client->lost_data = options->lost_data;
    client->asked_cb = options->asked_cb;
    client->asked_data = options->asked_data;
    list_init(&client->done);
    list_init(&client->looks);
    int rv = secrets_copy(&client->secrets, options->secrets, options->secret_count);
    if (rv == HF_OK && options->history_path != NULL)
        rv = history_file_open(options->history_path, &client->history);
    if (rv == HF_OK) rv = start(client, &config);
    if (rv == HF_OK) {
        *out = client;
        return HF_OK;
    }
    history_file_close(client->history, false);
    secrets_close(&client->secrets);
    free(client);
    return rv;
}

/* Nothing new is begun from here on. What can be undone is cancelled now, and CLOSE follows it;
 * what cannot (completions, releases) is before CLOSE on its way, and has its answer before. */
static int begin_close(hf_client *client, struct waiter *waiter)
{
    static const struct msg_empty nothing;
    struct call *call;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    client->core.closing = true;
    core_interrupt_undoable(&client->core, CORE_NEVER, shell_now(client));
    rv = client->core.session.phase == SESSION_NONE
             ? HF_ESESSION
             : core_call_new(&client->core, OP_CODE_CLOSE, &nothing, &call);
    if (rv != HF_OK) {
        shell_leave(client);
        return rv;
    }
    call->fate = FATE_REPEAT;
    shell_submit(client, call, 0, &(struct ending){.done_cb = shell_wake, .data = waiter});
    return HF_OK;
}

static void close_session(hf_client *client)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    HF_ASSERT(rv == HF_OK); /* hf_client_close() has looked */
    rv = shell_sleep(&w, begin_close(client, &w));
    (void)rv; /* no answer: the session ends by its lease */
}

/* Nobody waits any longer: whoever was not answered until now is told so. */
static void end_calls(hf_client *client)
{
    if (shell_enter(client) != HF_OK) return;
    for (int i = 0; i < 2; i++) /* the second time without waiting for CANCEL's answer */
        core_interrupt_all(&client->core, NULL, CORE_NEVER, shell_now(client));
    shell_leave(client);
}

void hf_client_close(hf_client *client)
{
    if (client == NULL) return;
    bool forked = client->fork_count != shell_fork_count();
    if (!forked) {
        HF_ASSERT(!io_is_own(client->io)); /* a callback would wait for its own end */
        close_session(client);
        end_calls(client);
    }
    io_stop(client, forked);
    secrets_close(&client->secrets);
    if (forked) {
        history_file_close(client->history, true);
        return;
    }
    HF_ASSERT(list_empty(&client->done) && list_empty(&client->looks));
    core_close(&client->core); /* what is still open is recorded now */
    history_file_close(client->history, false);
    pthread_mutex_destroy(&client->lock);
    free(client);
}

uint64_t hf_client_session(const hf_client *client)
{
    hf_client *c = (hf_client *)(uintptr_t)client; /* the lock is no part of what is looked at */
    if (shell_enter(c) != HF_OK) return 0;
    uint64_t session = c->core.session.phase == SESSION_LIVE ? c->core.session.id : 0;
    pthread_mutex_unlock(&c->lock);
    return session;
}

void hf_client_progress(hf_client *client)
{
    if (client == NULL || client->fork_count != shell_fork_count()) return;
    client->core.progress_ns = shell_now(client);
    if (!client->core.stalled || shell_enter(client) != HF_OK) return;
    core_progress(&client->core, shell_now(client));
    shell_leave(client);
}

/* ------------------------------------------------------------------ requests of unknown outcome */

/* Lock the client and find the request. */
static int find(hf_request *request, struct call **call)
{
    if (request == NULL || request->client == NULL) return HF_EINVAL;
    int rv = shell_enter(request->client);
    if (rv != HF_OK) return rv;
    *call = core_call_find(&request->client->core, request->id);
    if (*call != NULL) return HF_OK;
    pthread_mutex_unlock(&request->client->lock);
    return HF_EINVAL;
}

int hf_request_retry_async(hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct call *held;
    int rv = done_cb != NULL ? find(request, &held) : HF_EINVAL;
    if (rv != HF_OK) return rv;
    hf_client *client = request->client;
    uint64_t now_ns = shell_now(client);
    core_call_retry(&client->core, held, shell_deadline(client, 0, now_ns), now_ns);
    shell_await(client, held, &(struct ending){done_cb, data, request, call});
    return HF_OK;
}

int hf_request_retry(hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_request_retry_async(request, shell_wake, &w, NULL));
}

int hf_request_cancel_async(hf_request *request, hf_done_cb done_cb, void *data, hf_call *call)
{
    struct call *held;
    int rv = done_cb != NULL ? find(request, &held) : HF_EINVAL;
    if (rv != HF_OK) return rv;
    hf_client *client = request->client;
    uint64_t now_ns = shell_now(client);
    core_call_cancel(&client->core, held, shell_deadline(client, 0, now_ns), now_ns);
    shell_await(client, held, &(struct ending){done_cb, data, NULL, call});
    return HF_OK;
}

int hf_request_cancel(hf_request *request)
{
    struct waiter w;
    int rv = shell_may_sleep(&w);
    if (rv != HF_OK) return rv;
    return shell_sleep(&w, hf_request_cancel_async(request, shell_wake, &w, NULL));
}

/* ------------------------------------------------------------------ calls under way */

int hf_call_cancel(const hf_call *call)
{
    if (call == NULL || call->client == NULL) return HF_EINVAL;
    hf_client *client = call->client;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    if (look_cancel(client, call->id)) {
        shell_leave(client);
        return HF_OK;
    }
    struct call *pending = core_call_pending(&client->core, call->id);
    uint64_t now_ns = shell_now(client);
    if (pending != NULL)
        core_call_interrupt(&client->core, pending, shell_deadline(client, 0, now_ns), now_ns);
    shell_leave(client);
    return pending != NULL ? HF_OK : HF_ENOTFOUND;
}

int hf_client_cancel(hf_client *client)
{
    if (client == NULL) return HF_EINVAL;
    int rv = shell_enter(client);
    if (rv != HF_OK) return rv;
    uint64_t now_ns = shell_now(client);
    look_cancel_all(client);
    core_interrupt_all(&client->core, NULL, shell_deadline(client, 0, now_ns), now_ns);
    shell_leave(client);
    return HF_OK;
}

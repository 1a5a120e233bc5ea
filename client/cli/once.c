#include "client/cli/once.h"

#include <string.h>
#include <unistd.h>

#include "client/cli/interrupt.h"

enum {
    AGAIN_US = 200 * 1000, /* between two tries */
    BEGIN_TRIES = 5,       /* while nothing was run, giving up is safe */
};

/* Not done, and worth another try: weather, or a session that has to be opened anew. */
static bool is_passing(int status)
{
    return status == HF_ECONNECT || status == HF_EBREAKER || status == HF_ENOTLEADER ||
           status == HF_ESHUTDOWN || status == HF_ETOOBUSY || status == HF_EUNACKED ||
           status == HF_ESESSION || status == HF_ETIMEOUT;
}

int once_begin(hf_client *client, const struct once *o, hf_record **record)
{
    hf_begin how = {
        .retain_ms = o->retain_ms,
        .takeover = HF_TAKEOVER_AUTO, /* a mark, not the policy, is what makes it UNKNOWN */
    };
    hf_fingerprint(o->fingerprint, strlen(o->fingerprint), how.fingerprint);
    for (int tries = BEGIN_TRIES;; tries--) {
        hf_request request = {.id = 0};
        int status = hf_record_begin(client, o->key, &how, record, &request);
        for (int i = 0; status == HF_EUNKNOWN && i < BEGIN_TRIES && interrupt_signal() == 0; i++) {
            status = hf_request_retry(&request);
        }
        if (status == HF_EUNKNOWN) return HF_ETIMEOUT; /* closing the client cancels it */
        if (interrupt_signal() != 0) return status;
        /* A session that expired while we waited, or an attempt that came too late to be used:
         * nothing was run, so begin anew. */
        bool anew = status == HF_ESESSION || status == HF_ELOST || status == HF_ECANCELLED;
        if (status == HF_ERUNNING && how.wait_ms < o->wait_ms) {
            how.wait_ms = o->wait_ms; /* not at first: that nobody is there shall be told soon */
            tries += 1;
        } else if (!anew || tries == 0) {
            return status;
        }
    }
}

/* One call that must be answered in the end: `call` sends it, and is only called again when the
 * last one was certainly not applied. Tells people once that it waits. */
static int insist(hf_record *record,
                  int (*call)(hf_record *record, const void *what, hf_request *request),
                  const void *what, const char *name)
{
    hf_request request = {.id = 0};
    int status = call(record, what, &request);
    for (bool told = false; status == HF_EUNKNOWN || is_passing(status); told = true) {
        if (!told) {
            cli_warn("no server has confirmed %s yet (%s); it is repeated until one does", name,
                     hf_status_name(status));
        }
        if (status == HF_EUNKNOWN) {
            status = hf_request_retry(&request);
        } else {
            (void)usleep(AGAIN_US);
            request = (hf_request){.id = 0};
            status = call(record, what, &request);
        }
    }
    return status;
}

static int send_mark(hf_record *record, const void *what, hf_request *request)
{
    const uint64_t *number = what;
    return hf_record_checkpoint(record, "command started", *number, HF_MARK_ONCE, NULL, 0, request);
}

struct completion {
    int outcome;             /* enum hf_outcome */
    const hf_result *result; /* or NULL */
};

static int send_completion(hf_record *record, const void *what, hf_request *request)
{
    const struct completion *c = what;
    return hf_record_complete(record, c->outcome, c->result, request);
}

int once_mark(hf_record *record, uint64_t number)
{
    return insist(record, send_mark, &number, "the start of the command");
}

int once_complete(hf_record *record, int outcome, const hf_result *result)
{
    const struct completion c = {.outcome = outcome, .result = result};
    return insist(record, send_completion, &c, "the result");
}

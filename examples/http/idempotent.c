/* See examples/http/idempotent.h. The happy path is run(): a mark, the effect, its response stored,
 * then answered. Where that is cut off, anywhere, the next request with the key learns of it from
 * the record; it never guesses. */
#include "examples/http/idempotent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    EFFECT_MS_MAX = 300, /* what the effect may take: begin none with less of the lease left */
    TRIES = 3,           /* times the client's timeout_ms, for an answer that must come */
    NAME_BYTES = 4096,
    SOON_S = 1,
    LATER_S = 60,
};

/* ------------------------------------------------------------------ responses */

void response_close(struct response *response)
{
    free(response->body);
    response->body = NULL;
    response->body_bytes = 0;
}

void response_refuse(struct response *response, unsigned code, unsigned retry_s, const char *title)
{
    char text[RESPONSE_HEADERS_BYTES];
    char retry[RESPONSE_HEADERS_BYTES / 4] = "";
    int size = snprintf(text, sizeof text, "{\"status\": %u, \"title\": \"%s\"}\n", code, title);
    if (retry_s > 0) (void)snprintf(retry, sizeof retry, "Retry-After: %u\n", retry_s);
    response_close(response);
    response->code = code;
    response->replayed = 0;
    (void)snprintf(response->headers, sizeof response->headers,
                   "Content-Type: application/problem+json\n%s", retry);
    response->body = strdup(text);
    response->body_bytes = response->body != NULL ? (size_t)size : 0;
}

static void refuse_unknown(struct response *response)
{
    response_refuse(response, 503, LATER_S,
                    "It is not known whether this request had its effect. This is being looked "
                    "into. Repeat it later with the same key; never with another.");
}

static void refuse_for_now(struct response *response)
{
    response_refuse(response, 503, SOON_S, "Nothing was done. Repeat it with the same key.");
}

/* ------------------------------------------------------------------ bodies over 64 KiB */

/* A file's name for the key: any key makes a good one. */
static void name_of_body(const struct handler *handler, const char *key, char name[NAME_BYTES])
{
    uint8_t hash[HF_FINGERPRINT_BYTES];
    hf_fingerprint(key, strlen(key), hash);
    int size = snprintf(name, NAME_BYTES, "%s/", handler->bodies);
    for (size_t i = 0; i < sizeof hash; i++) {
        size += snprintf(name + size, NAME_BYTES - (size_t)size, "%02x", hash[i]);
    }
}

/* On disk under its name, or not at all. \return 0 if it could not be written. */
static int keep_body(const char *name, const struct response *response)
{
    char draft[NAME_BYTES + 8];
    (void)snprintf(draft, sizeof draft, "%s.new", name);
    int file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return 0;
    ssize_t put = write(file, response->body, response->body_bytes);
    int good = put == (ssize_t)response->body_bytes && fsync(file) == 0;
    return close(file) == 0 && good && rename(draft, name) == 0;
}

/* \return 0 if it is not there any more. */
static int fetch_body(const char *name, size_t name_bytes, struct response *response)
{
    char path[NAME_BYTES];
    (void)snprintf(path, sizeof path, "%.*s", (int)name_bytes, name);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    off_t size = file >= 0 ? lseek(file, 0, SEEK_END) : -1;
    response->body = size >= 0 ? malloc((size_t)size + 1) : NULL;
    int good = response->body != NULL && pread(file, response->body, (size_t)size, 0) == size;
    if (good) response->body_bytes = (size_t)size;
    if (file >= 0) (void)close(file);
    return good;
}

/* ------------------------------------------------------------------ the record */

/* "It may or may not have happened" is not an answer: ask again under the same number. */
static int settle(int status, hf_request *request)
{
    for (int i = 0; status == HF_EUNKNOWN && i < TRIES; i++) status = hf_request_retry(request);
    return status;
}

static int mark(hf_record *record)
{
    hf_request request = {.id = 0};
    uint64_t number = hf_record_look(record)->checkpoint_number + 1;
    int rv = hf_record_checkpoint(record, "effect", number, HF_MARK_ONCE, NULL, 0, &request);
    return settle(rv, &request);
}

static int store(const struct handler *handler, const char *key, hf_record *record,
                 const struct response *response)
{
    char name[NAME_BYTES];
    hf_request request = {.id = 0};
    hf_result result = {.code = response->code,
                        .headers = response->headers,
                        .headers_bytes = strlen(response->headers),
                        .body = response->body,
                        .body_bytes = response->body_bytes};
    if (hf_result_fits(&result) == HF_ETOOLARGE) { /* say where it stands, once it stands there */
        name_of_body(handler, key, name);
        result = hf_result_shortened(&result, keep_body(name, response) ? name : NULL);
    }
    int outcome = response->code < 300 ? HF_DONE : HF_FAILED;
    return settle(hf_record_complete(record, outcome, &result, &request), &request);
}

/* The first answer again: the same status, headers and body. */
static void replay(const hf_record_view *view, struct response *response)
{
    int whole = view->body_kind == HF_BODY_WHOLE;
    response->code = view->code;
    response->replayed = 1;
    (void)snprintf(response->headers, sizeof response->headers, "%.*s", (int)view->headers_bytes,
                   view->headers_bytes > 0 ? (const char *)view->headers : "");
    if (whole && view->body_bytes > 0) {
        response->body = malloc(view->body_bytes);
        whole = response->body != NULL;
        if (whole) memcpy(response->body, view->body, view->body_bytes);
        if (whole) response->body_bytes = view->body_bytes;
    }
    if (view->body_kind == HF_BODY_REFERENCE) {
        whole = fetch_body(view->body, view->body_bytes, response);
    }
    if (!whole) response_refuse(response, 410, 0, "It was done; its response is not kept.");
}

/* Ours to run: whoever had it before, if anybody, had not come to the effect. */
static void run(const struct handler *handler, const char *key, hf_record *record,
                const struct request *request, struct response *response)
{
    /* From here on our death makes it UNKNOWN, and nobody runs it again. */
    int rv = mark(record);
    if (rv != HF_OK || !hf_record_valid(record, EFFECT_MS_MAX)) {
        hf_request completion = {.id = 0}; /* nothing was done, that is certain */
        rv = hf_record_complete(record, HF_RETRYABLE, NULL, &completion);
        (void)settle(rv, &completion);
        refuse_for_now(response);
        return;
    }
    handler->effect_cb(request, hf_record_look(record)->fencing_token, response, handler->data);
    /* What is answered is what is stored: a repeat must not hear anything else. */
    if (store(handler, key, record, response) != HF_OK) refuse_unknown(response);
}

static void refuse_begin(int status, struct response *response)
{
    switch (status) {
    case HF_ERUNNING:
        response_refuse(response, 409, SOON_S, "A request with this key is being worked on.");
        break;
    case HF_EMISMATCH:
        response_refuse(response, 422, 0, "This key was used for another request.");
        break;
    case HF_ERECORDUNKNOWN: refuse_unknown(response); break;
    case HF_EKEYEXPIRED:
        response_refuse(response, 410, 0, "It was done; its response is no longer kept.");
        break;
    default: refuse_for_now(response); break;
    }
}

/* \return 0 if there is no memory for it. */
static int fingerprint(const struct request *request, uint8_t out[HF_FINGERPRINT_BYTES])
{
    size_t method_bytes = strlen(request->method) + 1; /* with its NUL, so that nothing runs over */
    size_t path_bytes = strlen(request->path) + 1;
    size_t bytes = method_bytes + path_bytes + request->body_bytes;
    char *text = malloc(bytes);
    if (text == NULL) return 0;
    memcpy(text, request->method, method_bytes);
    memcpy(text + method_bytes, request->path, path_bytes);
    if (request->body_bytes > 0) {
        memcpy(text + method_bytes + path_bytes, request->body, request->body_bytes);
    }
    hf_fingerprint(text, bytes, out);
    free(text);
    return 1;
}

void idempotent_answer(const struct handler *handler, const char *key,
                       const struct request *request, struct response *response)
{
    hf_begin how = {.wait_ms = 0}; /* who comes second is told 409; or let it wait a little */
    hf_record *record = NULL;
    *response = (struct response){.code = 0};
    if (!fingerprint(request, how.fingerprint)) {
        refuse_for_now(response);
        return;
    }
    int rv = hf_record_begin(handler->client, key, &how, &record, NULL);
    if (rv != HF_OK) {
        refuse_begin(rv, response);
        return;
    }
    const hf_record_view *view = hf_record_look(record);
    if (view->verdict == HF_REPLAY) {
        replay(view, response);
    } else {
        run(handler, key, record, request, response);
    }
    hf_record_free(record);
}

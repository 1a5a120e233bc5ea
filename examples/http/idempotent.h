/* A request that has its effect once, however often it comes: the part to copy. It knows nothing of
 * sockets: in go a key and a request, out comes the response, its own or the stored one.
 * README.md has the statuses. */
#ifndef EXAMPLES_HTTP_IDEMPOTENT_H
#define EXAMPLES_HTTP_IDEMPOTENT_H

#include <holdfast.h>

enum { RESPONSE_HEADERS_BYTES = 512 };

/** What was asked. All borrowed. */
struct request {
    const char *method; /**< "POST" */
    const char *path;   /**< "/payments" */
    const char *body;   /**< as it came */
    size_t body_bytes;  /**< its length */
};

/** What is answered. response_close() it. */
struct response {
    unsigned code;                        /**< the HTTP status */
    char headers[RESPONSE_HEADERS_BYTES]; /**< "Name: value\n", stored with it */
    char *body;                           /**< owned, from malloc(); NULL = none */
    size_t body_bytes;                    /**< its length */
    int replayed;                         /**< 1: what was answered the first time */
};

/** Where requests have their effect. */
struct handler {
    hf_client *client;  /**< borrowed */
    const char *bodies; /**< a folder that all servers share, for bodies over 64 KiB */
    /** Do it, and fill in the response. Called once a key, on the calling thread. A code below 300
     * is a success; another is a refusal that every repeat shall see. \param token  rises from
     * attempt to attempt: for the guard of whatever is written to. */
    void (*effect_cb)(const struct request *request, uint64_t token, struct response *response,
                      void *data);
    void *data; /**< handed to it */
};

/** Answer `request` under `key`, 1 to 255 bytes. Blocks. What is wrong with the request itself is
 * best refused before: it needs no key. */
void idempotent_answer(const struct handler *handler, const char *key,
                       const struct request *request, struct response *response);

/** Make it a refusal by RFC 9457. \param retry_s  when to repeat the request; 0 = not said. */
void response_refuse(struct response *response, unsigned code, unsigned retry_s, const char *title);

/** Free what it owns. */
void response_close(struct response *response);

#endif

/* Ticks in JSON, the plain form of them: what sources really send, read without making a Python object.

   This is no second decoder. Whatever it takes, stockpipeline.market.ticks.decode_tick takes with the same
   values; whatever it does not know (escapes, unknown or repeated keys, numbers of another shape, values out
   of range, other sessions than the regular one, bad JSON) it leaves to that one. A test holds it to that. */

#include "tick.h"

#include <string.h>

/* The limits of stockpipeline.market.ticks. */
#define MAX_PRICE 1e12
#define MAX_VOLUME 1e15
#define MAX_EVENT_TIME_MS 4102444800000LL
#define MAX_NUMBER (1LL << 53)
#define MAX_SYMBOL_LENGTH 16
#define MAX_SOURCE_LENGTH 63

enum { SYMBOL = 1, PRICE = 2, VOLUME = 4, TS = 8, SOURCE = 16, SESSION = 32, SEQ = 64, BID = 128, ASK = 256 };
enum { REQUIRED = SYMBOL | PRICE | VOLUME | TS | SOURCE | SESSION };

typedef struct {
    const char *at, *end;
} Cursor;

typedef struct {
    const char *start;
    Py_ssize_t length;
} Text;

static void skip_space(Cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) {
        c->at++;
    }
}

static int take(Cursor *c, char wanted) {
    if (c->at < c->end && *c->at == wanted) {
        c->at++;
        return 1;
    }
    return 0;
}

/* A string of printable ASCII without escapes. */
static int read_text(Cursor *c, Text *text) {
    if (!take(c, '"')) {
        return 0;
    }
    text->start = c->at;
    while (c->at < c->end && *c->at != '"') {
        unsigned char byte = (unsigned char)*c->at;
        if (byte < 0x20 || byte > 0x7e || byte == '\\') {
            return 0;
        }
        c->at++;
    }
    text->length = c->at - text->start;
    return take(c, '"');
}

static int is(Text text, const char *word) {
    return text.length == (Py_ssize_t)strlen(word) && memcmp(text.start, word, (size_t)text.length) == 0;
}

static int at_digit(const Cursor *c) { return c->at < c->end && *c->at >= '0' && *c->at <= '9'; }

/* A whole number above zero of up to 18 digits. */
static int read_positive(Cursor *c, long long *value) {
    if (!at_digit(c) || *c->at == '0') {
        return 0;
    }
    long long number = 0;
    const char *start = c->at;
    while (at_digit(c)) {
        if (c->at - start == 18) {
            return 0;
        }
        number = number * 10 + (*c->at++ - '0');
    }
    *value = number;
    /* 1.0 and 1e3 are for the general decoder. */
    return c->at == c->end || (*c->at != '.' && *c->at != 'e' && *c->at != 'E');
}

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* A number that is not negative, rounded as IEEE 754 wants it.

   A mantissa below 2^53 and a power of ten up to 22 are both exact in a double, so that one operation on them
   rounds correctly (Clinger 1990); the rest goes to CPython's conversion. */
static int read_number(Cursor *c, double *value) {
    const char *start = c->at;
    unsigned long long mantissa = 0;
    int digits = 0, fraction = 0;
    if (!at_digit(c)) {
        return 0;
    }
    if (*c->at == '0') {
        c->at++;
        if (at_digit(c)) {
            return 0;
        }
    }
    for (; at_digit(c); digits++) {
        mantissa = mantissa * 10 + (unsigned long long)(*c->at++ - '0');
    }
    if (take(c, '.')) {
        const char *first = c->at;
        for (; at_digit(c); digits += mantissa != 0) {
            mantissa = mantissa * 10 + (unsigned long long)(*c->at++ - '0');
        }
        fraction = (int)(c->at - first);
        if (fraction == 0) {
            return 0;
        }
    }
    if (c->at < c->end && (*c->at == 'e' || *c->at == 'E')) {
        return 0;
    }
    if (digits <= 18 && fraction <= 22 && mantissa < (1ULL << 53)) {
        *value = (double)mantissa / POWERS[fraction];
        return 1;
    }
    char copy[64];
    if (c->at - start >= (Py_ssize_t)sizeof copy) {
        return 0;
    }
    memcpy(copy, start, (size_t)(c->at - start));
    copy[c->at - start] = '\0';
    *value = PyOS_string_to_double(copy, NULL, NULL);
    if (*value == -1.0 && PyErr_Occurred()) {
        PyErr_Clear();
        return 0;
    }
    return 1;
}

static int key_of(Text key) {
    switch (key.length) {
    case 2:
        return is(key, "ts") ? TS : 0;
    case 3:
        return is(key, "seq") ? SEQ : is(key, "bid") ? BID : is(key, "ask") ? ASK : 0;
    case 5:
        return is(key, "price") ? PRICE : 0;
    case 6:
        return is(key, "symbol") ? SYMBOL : is(key, "volume") ? VOLUME : is(key, "source") ? SOURCE : 0;
    case 7:
        return is(key, "session") ? SESSION : 0;
    default:
        return 0;
    }
}

static int read_value(Cursor *c, int key, Tick *tick) {
    Text text;
    double number;
    switch (key) {
    case SYMBOL:
        if (!read_text(c, &text) || text.length < 1 || text.length > MAX_SYMBOL_LENGTH) {
            return 0;
        }
        tick->symbol = text.start;
        tick->symbol_length = text.length;
        return 1;
    case PRICE:
        return read_number(c, &tick->price) && tick->price > 0.0 && tick->price < MAX_PRICE;
    case VOLUME:
        return read_number(c, &tick->volume) && tick->volume < MAX_VOLUME;
    case TS:
        return read_positive(c, &tick->ts) && tick->ts < MAX_EVENT_TIME_MS;
    case SEQ:
        return read_positive(c, &tick->seq) && tick->seq < MAX_NUMBER;
    case SOURCE:
        return read_text(c, &text) && text.length <= MAX_SOURCE_LENGTH;
    case SESSION:
        return read_text(c, &text) && is(text, "regular");
    case BID:
    case ASK:
        return read_number(c, &number);
    default:
        return 0;
    }
}

static int read_any_order(Cursor c, Tick *tick) {
    int seen = 0;
    tick->seq = 0;
    skip_space(&c);
    if (!take(&c, '{')) {
        return 0;
    }
    do {
        Text name;
        skip_space(&c);
        if (!read_text(&c, &name)) {
            return 0;
        }
        int key = key_of(name);
        if (key == 0 || seen & key) {
            return 0;
        }
        seen |= key;
        skip_space(&c);
        if (!take(&c, ':')) {
            return 0;
        }
        skip_space(&c);
        if (!read_value(&c, key, tick)) {
            return 0;
        }
        skip_space(&c);
    } while (take(&c, ','));
    if (!take(&c, '}')) {
        return 0;
    }
    skip_space(&c);
    return c.at == c.end && (seen & REQUIRED) == REQUIRED;
}

#define EXPECT(c, literal)                                                                                   \
    ((c)->end - (c)->at >= (Py_ssize_t)sizeof(literal) - 1 &&                                                \
     memcmp((c)->at, literal, sizeof(literal) - 1) == 0 && ((c)->at += sizeof(literal) - 1, 1))

/* Just as stockpipeline.market.ticks.encode_tick writes it. */
static int read_our_own(Cursor c, Tick *tick) {
    Text source;
    tick->seq = 0;
    if (!(EXPECT(&c, "{\"symbol\":") && read_value(&c, SYMBOL, tick) && EXPECT(&c, ",\"price\":") &&
          read_value(&c, PRICE, tick) && EXPECT(&c, ",\"volume\":") && read_value(&c, VOLUME, tick) &&
          EXPECT(&c, ",\"ts\":") && read_value(&c, TS, tick) && EXPECT(&c, ",\"source\":") &&
          read_text(&c, &source) && source.length <= MAX_SOURCE_LENGTH &&
          EXPECT(&c, ",\"session\":\"regular\""))) {
        return 0;
    }
    if (EXPECT(&c, ",\"seq\":") && !read_value(&c, SEQ, tick)) {
        return 0;
    }
    return EXPECT(&c, "}") && c.at == c.end;
}

int tick_read(const char *text, Py_ssize_t length, Tick *tick) {
    Cursor cursor = {text, text + length};
    return read_our_own(cursor, tick) || read_any_order(cursor, tick);
}

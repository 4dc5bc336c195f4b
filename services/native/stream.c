/* The state of one TA-Lib function after the last closed bar: Stream(pointer, functions, ...), with update,
   peek and value like the stream objects of TA-Lib's Python wrapper.

   Those spend most of a peek on Python's side. Here the same C functions are called with the same stream, so
   the values are the same bits. stockpipeline.indicators.streams opens streams and finds the functions. */

#include "stream.h"

typedef union {
    double real;
    int integer;
} Output;

typedef int (*Call0)(void *, void *, void *, void *, void *);
typedef int (*Call1)(void *, double, void *, void *, void *, void *);
typedef int (*Call2)(void *, double, double, void *, void *, void *, void *);
typedef int (*Call3)(void *, double, double, double, void *, void *, void *, void *);
typedef int (*Call4)(void *, double, double, double, double, void *, void *, void *, void *);
typedef int (*Close)(void *);

/* Functions with fewer outputs ignore the pointers that they have no parameter for: in the calling
   conventions of the platforms that Linux wheels of TA-Lib exist for (x86-64, AArch64), surplus arguments in
   registers are never read. */
static int call(void *function, const Stream *self, const double *in, Output *out) {
    switch (self->inputs) {
    case 0:
        return ((Call0)function)(self->stream, &out[0], &out[1], &out[2], &out[3]);
    case 1:
        return ((Call1)function)(self->stream, in[0], &out[0], &out[1], &out[2], &out[3]);
    case 2:
        return ((Call2)function)(self->stream, in[0], in[1], &out[0], &out[1], &out[2], &out[3]);
    case 3:
        return ((Call3)function)(self->stream, in[0], in[1], in[2], &out[0], &out[1], &out[2], &out[3]);
    default:
        return ((Call4)function)(self->stream, in[0], in[1], in[2], in[3], &out[0], &out[1], &out[2],
                                 &out[3]);
    }
}

int stream_peek(const Stream *self, const double *inputs, double *outputs) {
    Output out[MAX_OUTPUTS];
    int code = call(self->peek, self, inputs, out);
    for (int i = 0; i < self->outputs; i++) {
        outputs[i] = self->integers >> i & 1 ? (double)out[i].integer : out[i].real;
    }
    return code;
}

static PyObject *values(const Stream *self, int code, const Output *out) {
    if (code != 0) {
        return PyErr_Format(PyExc_RuntimeError, "TA-Lib failed with error code %d", code);
    }
    PyObject *result = PyTuple_New(self->outputs);
    for (int i = 0; result != NULL && i < self->outputs; i++) {
        PyObject *value =
            self->integers >> i & 1 ? PyLong_FromLong(out[i].integer) : PyFloat_FromDouble(out[i].real);
        if (value == NULL) {
            Py_CLEAR(result);
        } else {
            PyTuple_SET_ITEM(result, i, value);
        }
    }
    if (result != NULL && self->outputs == 1) {
        PyObject *only = Py_NewRef(PyTuple_GET_ITEM(result, 0));
        Py_DECREF(result);
        return only;
    }
    return result;
}

static PyObject *call_with(void *function, Stream *self, PyObject *const *args, Py_ssize_t count) {
    double in[MAX_INPUTS];
    Output out[MAX_OUTPUTS];
    if (count != self->inputs) {
        return PyErr_Format(PyExc_TypeError, "expected %d inputs, not %zd", self->inputs, count);
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        in[i] = PyFloat_AsDouble(args[i]);
        if (in[i] == -1.0 && PyErr_Occurred()) {
            return NULL;
        }
    }
    int code = call(function, self, in, out);
    return values(self, code, out);
}

static PyObject *stream_update(Stream *self, PyObject *const *args, Py_ssize_t count) {
    return call_with(self->update, self, args, count);
}

static PyObject *stream_peek_method(Stream *self, PyObject *const *args, Py_ssize_t count) {
    return call_with(self->peek, self, args, count);
}

static PyObject *stream_value(Stream *self, void *Py_UNUSED(closure)) {
    Output out[MAX_OUTPUTS];
    int code = ((Call0)self->value)(self->stream, &out[0], &out[1], &out[2], &out[3]);
    return values(self, code, out);
}

static PyObject *stream_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    unsigned long long stream, update, peek, value, close;
    int inputs, outputs;
    unsigned integers;
    if (!PyArg_ParseTuple(args, "K(KKKK)iiI", &stream, &update, &peek, &value, &close, &inputs, &outputs,
                          &integers)) {
        return NULL;
    }
    if (!stream || !update || !peek || !value || !close || inputs < 1 || inputs > MAX_INPUTS || outputs < 1 ||
        outputs > MAX_OUTPUTS) {
        PyErr_SetString(PyExc_ValueError, "not the pointers and counts of a stream");
        return NULL;
    }
    Stream *self = (Stream *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->stream = (void *)(uintptr_t)stream;
        self->update = (void *)(uintptr_t)update;
        self->peek = (void *)(uintptr_t)peek;
        self->value = (void *)(uintptr_t)value;
        self->close = (void *)(uintptr_t)close;
        self->inputs = inputs;
        self->outputs = outputs;
        self->integers = integers;
    }
    return (PyObject *)self;
}

static void stream_dealloc(Stream *self) {
    if (self->stream != NULL) {
        ((Close)self->close)(self->stream);
    }
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef stream_methods[] = {
    {"update", (PyCFunction)(void (*)(void))stream_update, METH_FASTCALL, "Take a closed bar."},
    {"peek", (PyCFunction)(void (*)(void))stream_peek_method, METH_FASTCALL,
     "Return what update would, and change nothing."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef stream_properties[] = {
    {"value", (getter)stream_value, NULL, "The values at the last closed bar.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject StreamType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Stream",
    .tp_doc = "Stream(pointer, (update, peek, value, close), inputs, outputs, integers): see stream.c.",
    .tp_basicsize = sizeof(Stream),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = stream_new,
    .tp_dealloc = (destructor)stream_dealloc,
    .tp_methods = stream_methods,
    .tp_getset = stream_properties,
};

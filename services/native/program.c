/* Conditions of rules, and terms that they share, as programs for a stack machine.

   stockpipeline.signals.program compiles them out of the same expressions that Python evaluates, and checks
   them: every jump, position and depth is in its range. Operations give what Python's give on floats; the
   compiler must not contract them (-ffp-contract=off). */

#include "program.h"

#include <math.h>

/* As in stockpipeline.signals.program. */
enum {
    CONSTANT, NOW, PAST,
    NEGATE, ADD, SUBTRACT, MULTIPLY, DIVIDE,
    LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL,
    NOT, ABSOLUTE, MINIMUM, MAXIMUM,
    JUMP_IF_FALSE, JUMP_IF_TRUE, /* else drop the value */
    LESS_THAN_CONSTANT, GREATER_THAN_CONSTANT, /* of a value of the forming bar: most rules are that */
    NOW_LESS, NOW_LESS_EQUAL, NOW_GREATER, NOW_GREATER_EQUAL, /* of two: most others */
};
#define MAX_DEPTH 64

#define BINARY(expression)                                                                                   \
    {                                                                                                        \
        double right = *--top, left = top[-1];                                                               \
        top[-1] = (expression);                                                                              \
        break;                                                                                               \
    }

#define OF_NOW(sign)                                                                                         \
    *top++ = now[instruction->argument & 0xffff] sign now[instruction->argument >> 16];                      \
    break;

double program_value(const Program *program, const double *now, const double *past) {
    double stack[MAX_DEPTH];
    double *top = stack;
    for (Py_ssize_t at = 0; at < program->length; at++) {
        const Instruction *instruction = &program->code[at];
        switch (instruction->operation) {
        case CONSTANT:
            *top++ = instruction->constant;
            break;
        case NOW:
            *top++ = now[instruction->argument];
            break;
        case PAST:
            *top++ = past[instruction->argument];
            break;
        case NEGATE:
            top[-1] = -top[-1];
            break;
        case ADD:
            BINARY(left + right)
        case SUBTRACT:
            BINARY(left - right)
        case MULTIPLY:
            BINARY(left * right)
        case DIVIDE:
            if (top[-1] == 0.0) {
                return NAN;
            }
            BINARY(left / right)
        case LESS:
            BINARY(left < right)
        case LESS_EQUAL:
            BINARY(left <= right)
        case GREATER:
            BINARY(left > right)
        case GREATER_EQUAL:
            BINARY(left >= right)
        case EQUAL:
            BINARY(left == right)
        case NOT_EQUAL:
            BINARY(left != right)
        case NOT:
            top[-1] = top[-1] == 0.0;
            break;
        case ABSOLUTE:
            top[-1] = fabs(top[-1]);
            break;
        case MINIMUM:
            BINARY(right < left ? right : left)
        case MAXIMUM:
            BINARY(right > left ? right : left)
        case JUMP_IF_FALSE:
        case JUMP_IF_TRUE:
            if ((top[-1] != 0.0) == (instruction->operation == JUMP_IF_TRUE)) {
                at = instruction->argument - 1;
            } else {
                top--;
            }
            break;
        case LESS_THAN_CONSTANT:
            *top++ = now[instruction->argument] < instruction->constant;
            break;
        case GREATER_THAN_CONSTANT:
            *top++ = now[instruction->argument] > instruction->constant;
            break;
        case NOW_LESS:
            OF_NOW(<)
        case NOW_LESS_EQUAL:
            OF_NOW(<=)
        case NOW_GREATER:
            OF_NOW(>)
        case NOW_GREATER_EQUAL:
            OF_NOW(>=)
        default:
            Py_UNREACHABLE();
        }
    }
    return stack[0];
}

static PyObject *program_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs)) {
    Py_buffer code;
    if (!PyArg_ParseTuple(args, "y*", &code)) {
        return NULL;
    }
    Program *self = NULL;
    if (code.len == 0 || code.len % (Py_ssize_t)sizeof(Instruction)) {
        PyErr_SetString(PyExc_ValueError, "code has a wrong size");
    } else if ((self = (Program *)type->tp_alloc(type, 0)) != NULL) {
        self->length = code.len / (Py_ssize_t)sizeof(Instruction);
        self->code = PyMem_Malloc((size_t)code.len);
        if (self->code == NULL) {
            Py_CLEAR(self);
            PyErr_NoMemory();
        } else {
            memcpy(self->code, code.buf, (size_t)code.len);
        }
    }
    PyBuffer_Release(&code);
    return (PyObject *)self;
}

static void program_dealloc(Program *self) {
    PyMem_Free(self->code);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *program_value_method(Program *self, PyObject *args) {
    Py_buffer now, past;
    if (!PyArg_ParseTuple(args, "y*y*", &now, &past)) {
        return NULL;
    }
    double value = program_value(self, now.buf, past.buf);
    PyBuffer_Release(&now);
    PyBuffer_Release(&past);
    return PyFloat_FromDouble(value);
}

static PyMethodDef program_methods[] = {
    {"value", (PyCFunction)program_value_method, METH_VARARGS,
     "value(now, past): the value on these vectors (float64 buffers)."},
    {NULL, NULL, 0, NULL},
};

PyTypeObject ProgramType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "stockpipeline_native.Program",
    .tp_doc = "Program(code): a condition or a term; see stockpipeline.signals.program.",
    .tp_basicsize = sizeof(Program),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = program_new,
    .tp_dealloc = (destructor)program_dealloc,
    .tp_methods = program_methods,
};

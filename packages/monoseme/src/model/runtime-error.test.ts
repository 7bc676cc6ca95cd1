import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asMonosemeError } from './runtime-error.ts';

test("places in the runtime's source are left out of its messages", () => {
  for (const place of [
    '/src/core/graph/load.h:46 void runtime::load::Check(const std::map<std::string, int>&, bool, int) ',
    'Status Message: /src/core/ops.h:560 void runtime::Iterator::Append(ptrdiff_t, ptrdiff_t) const ',
    'tensorproto.cc:1463 CheckSize ',
  ])
    assert.match(
      asMonosemeError(new Error(`${place}the axis is 1.\nmore`)).message,
      /^ONNX Runtime could not run the model: (Status Message: )?the axis is 1\. Check the model/,
    );
});

import { type DeclareCommand } from './main.ts';
import { MODEL_HELP, openModel } from './model-option.ts';
import { table } from './table.ts';

/** `monoseme inspect`: the tensors of a model worth hooking. */
export const inspectCommand: DeclareCommand = (program, run) => {
  program
    .command('inspect')
    .description('List the tensors of a model whose activations can be read.')
    .argument('<model>', MODEL_HELP)
    .addHelpText('after', '\nExample:\n  monoseme inspect one-layer-a')
    .action(
      run(async (context, _options: object, modelPath) => {
        const model = await openModel(modelPath);
        const hooks = model.hookPoints();
        context.print(
          table(
            ['hook', 'tensor', 'op', 'shape', 'type'],
            hooks.map((hook) => [
              hook.alias ?? hook.name,
              hook.name,
              hook.op,
              `[${hook.shape.join(', ')}]`,
              hook.dtype,
            ]),
          ),
        );
        context.result({ model: model.path, sha256: model.sha256, hookPoints: hooks });
      }),
    );
};

import type { HookPoint } from '../model/index.ts';
import type { DeclareCommand } from './main.ts';
import { addInputFlag, type InputFlags, MODEL_HELP, openModel } from './model-option.ts';
import { table } from './table.ts';

interface Flags extends InputFlags {
  readonly all?: boolean;
}

/** `monoseme inspect`: the tensors of a model worth hooking. */
export const inspectCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('inspect')
    .description('List the tensors of a model whose activations can be read.')
    .argument('<model>', MODEL_HELP)
    .option('--all', 'also the tensors that have no name in TransformerLens')
    .addHelpText('after', '\nExample:\n  monoseme inspect one-layer-a')
    .action(
      run(async (context, flags: Flags, modelPath) => {
        const model = await openModel(context, modelPath, flags);
        const hooks = model.hookPoints();
        const known = hooks.filter(hasKnownName);
        const shown = flags.all || known.length === 0 ? hooks : known;
        if (model.storesHalves)
          context.print(
            `The file is of half precision; on ${model.device} it is computed in single precision.`,
          );
        context.print(hookTable(shown));
        if (shown.length < hooks.length)
          context.print(`and ${hooks.length - shown.length} more; --all lists them`);
        context.result({
          model: model.path,
          sha256: model.sha256,
          inputs: model.inputs.map(({ name, role, dims }) => ({ name, role, dims })),
          hookPoints: hooks,
        });
      }),
    );
  addInputFlag(command);
};

/** Whether a tensor has a name in TransformerLens, as an alias or as its own. */
function hasKnownName({ name, aliases }: HookPoint): boolean {
  return aliases.length > 0 || /(^|\.)hook_\w+$/.test(name);
}

function hookTable(hooks: readonly HookPoint[]): string {
  const rows = hooks.map(({ name, aliases, op, shape, dtype }) => [
    aliases[0] ?? name,
    op,
    `[${shape.join(', ')}]`,
    dtype,
    aliases.length > 0 ? name : '',
  ]);
  return table(['hook', 'op', 'shape', 'type', 'name in the graph'], rows);
}

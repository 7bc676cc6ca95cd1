import * as library from '@huggingface/tokenizers';
import type { Step, TokenizerJson } from './tokenizer-json.ts';

/**
 * What is used of `@huggingface/tokenizers`, with its types: the declarations it ships import each other without
 * file endings, which the compiler does not follow in ES modules.
 */
type Library = {
  Tokenizer: new (json: TokenizerJson, config: { clean_up_tokenization_spaces: boolean }) => LibraryTokenizer;
  SplitPreTokenizer: new (step: Step) => { pre_tokenize_text(text: string): string[] };
};

export type LibraryTokenizer = {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  token_to_id(token: string): number | undefined;
};

export const { Tokenizer: LibraryTokenizer, SplitPreTokenizer } = library as unknown as Library;

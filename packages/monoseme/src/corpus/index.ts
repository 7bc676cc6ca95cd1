export type { Document, RoleSpan } from './document.ts';
export { MAX_PIECE_LENGTH, fnv1a32, isHeldOut, splitText, toDocuments } from './document.ts';
export { ChatTemplate, type RenderedChat } from './chat-template.ts';
export { type Message, messagesOf } from './messages.ts';
export { NO_ROLE, type TokenRoles } from './roles-of-tokens.ts';
export { readFiles } from './files.ts';
export { writeJsonl } from './write-jsonl.ts';
export { readDocuments } from './read-documents.ts';
export { TEXT_FORMATS, type TextFormat } from './text-format.ts';
export type { TextCounts } from './text-stream.ts';
export { shuffleDocuments } from './shuffle-documents.ts';
export { readText } from './read-text.ts';
export { defaultMixture } from './default-mixture.ts';
export type { SourceOptions } from './read-sources.ts';
export { readSources } from './read-sources.ts';
export { Tokenizer } from './tokenizer.ts';
export type { PackOptions } from './pack-contexts.ts';
export { packContexts, packIntoFile } from './pack-contexts.ts';
export { HeldText } from './held-text.ts';
export { type TextFile, TextFileWriter } from './text-file.ts';
export {
  type DocumentSpan,
  tokenPieces,
  type TokenSequence,
  type TokenSet,
  type TokenSink,
  type TokenText,
} from './token-text.ts';

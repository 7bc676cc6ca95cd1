export { escapeHtml, type HtmlReport, htmlReport, type ReportSection, type ReportTable } from './html.ts';
export { figureText, percentText } from './numbers.ts';

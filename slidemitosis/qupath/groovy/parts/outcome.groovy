/** Return the outcome: "atypical fraction 21 % (95 % interval 13 to 30 %) of 40 figures; 8 called atypical". */
String outcomeText(Map summary) {
    def counts = summary.counts
    def figures = (long) counts.classified + (long) (counts.uncertain ?: 0)
    def left = (long) counts.candidates - figures
    def further = left > 0 ? ", ${left} not classified" : ''
    if (figures == 0)
        return "none of ${whole(counts.candidates)} candidates could be classified"
    if (summary.expected_fraction_amf_of_all == null) // of a version that knew the calls alone
        return "${whole(counts.atypical)} of ${whole(counts.classified)} called atypical${further}"
    def interval = summary.expected_fraction_amf_of_all_figures_95
    return "atypical fraction ${percent(summary.expected_fraction_amf_of_all)} % " +
        (interval == null ? '(no interval)' : "(95 % interval ${percent(interval[0])} to ${percent(interval[1])} %)") +
        " of ${figures} figures; ${whole(counts.atypical)} called atypical${further}"
}

/** Return a fraction in per cent, with two digits. */
String percent(Number fraction) {
    def value = 100 * (fraction as double)
    return decimals(value, value >= 9.95 || value == 0 ? 0 : 1)
}

String whole(Number value) {
    return String.valueOf(value as long)
}

/** Return what was said of selected figures: of one, its call, P(atypical) and subtype. */
String selectionText(Map summary, List<Map> updates) {
    def counts = summary.counts
    if (updates.size() != 1)
        return "${whole(counts.candidates)} selected: ${whole(counts.atypical)} called atypical, " +
            "${whole(counts.normal)} normal"
    def told = updates[0]
    def p = told.put['P(atypical)']
    if (p == null)
        return "not classified: ${told.metadata['slidemitosis.reason'] ?: told.metadata['slidemitosis.status']}"
    def call = told.metadata['slidemitosis.status'] == 'uncertain' ? 'uncertain' :
        p >= told.put['Call threshold'] ? 'atypical' : 'normal'
    def subtype = told.metadata['slidemitosis.subtype']
    return "${call}, P(atypical) ${decimals(p, 3)} (atypical from ${decimals(told.put['Call threshold'], 3)})" +
        (subtype == null ? '' : ", ${subtype}")
}

/** Return what the answers of persons come to, or '' where nobody has answered. */
String reviewText(Map review) {
    if (review == null)
        return ''
    def told = [[review.reviewed_fraction_amf_of_all, 'by the answers alone'],
        [review.combined_fraction_amf_of_all, 'by answers and model together']]
        .findAll { it[0] != null }.collect { "${percent(it[0])} % ${it[1]}" }
    return "${plural(review.answered, 'answer')} of persons counted: ${(told + review.because).join(', ')}".toString()
}

/** Return what a run has found, a line for each thing. `objects`: what was done to the image's objects, or ''. */
List<String> resultLines(Map summary, String objects) {
    def spot = summary.hot_spot
    def warnings = (summary.warnings ?: []) as List
    def left = (summary.not_classified ?: []) as List
    def lines = [
        "Model: ${outcomeText(summary)}",
        "Calls: ${summary.counts.atypical as long} atypical, ${summary.counts.normal as long} normal" +
            (summary.counts.uncertain ? ", ${summary.counts.uncertain as long} uncertain" : '') +
            "; atypical from ${decimals(summary.model.threshold, 3)}",
        "Review: ${reviewText(summary.review) ?: 'nobody has answered yet'}",
        spot == null ? null : "Hot spot: ${plural(spot.mitoses, 'mitosis')}, " +
            "${whole(spot.atypical)} called atypical, in ${decimals(spot.mm2_on_slide ?: spot.mm2, 2)} mm2",
        summary.expected_hard == null ? null : "Doubtful: experts are expected to disagree on " +
            "${decimals(summary.expected_hard, 0)} figures; sort by P(experts disagree) to see which",
        left.isEmpty() ? null : "Not classified: ${notClassified(left)}",
        objects.isEmpty() ? null : "Objects: ${objects}",
    ] + warnings.collect { "Note: ${inQuPathsWords(it)}" }
    lines << "${summary.model.name} ${summary.model.version}. For research use only."
    return lines.findAll { it != null }*.toString()
}

/** Return how many figures were not classified, by the reason. */
String notClassified(List<Map> left) {
    return left.countBy { it.reason ?: it.status }.collect { reason, count -> "${count} (${reason})" }.join(', ')
}

import groovy.transform.Field
import qupath.lib.objects.classes.PathClass

import static qupath.lib.gui.scripting.QPEx.*

/** What `Reviewed` says: why a person was shown a figure. */
@Field Map<String, Integer> REASONS = [all: 1, random: 2, doubt: 3, found: 4]
/** Fewer answers of a random sample have no interval. */
@Field int LEAST_SAMPLED = 10

/** Return what a person says of an object, "AMF", "NMF", "none" or "unsure"; null where nobody has said anything. */
String answerOf(object, Collection<String> bases) {
    def p = object.getMeasurementList().get('P(atypical)')
    def name = className(object)
    def stated = statedCall(name)
    if (stated != null)
        return isReviewed(object) || Double.isNaN(p) || !(lastCall(object, null) in [null, stated]) ?
            (stated == 'Atypical' ? 'AMF' : 'NMF') : null
    if (object.getPathClass() != null && !bases.contains(name))
        return 'none'
    return isReviewed(object) || object.getPathClass() == null ? 'unsure' : null
}

/** Return the classes of which those of these objects are calls. */
Set<String> basesOf(List objects) {
    def called = objects.collect { className(it) }.findAll { statedCall(it) != null }
    return called.collect { baseClass(it) }.toSet() + CANDIDATE_CLASS
}

/** Return figures as `reviewRate` takes them. */
List<Map> reviewedFigures(List objects) {
    def bases = basesOf(objects)
    return objects.collect {
        def list = it.getMeasurementList()
        def answer = answerOf(it, bases)
        def reason = list.get('Reviewed')
        [p: list.get('P(atypical)'), answer: answer,
            reason: answer == null ? 0 : Double.isNaN(reason) ? REASONS.found : reason as int]
    }
}

/**
 * Return what the answers about the figures of one slide come to, as slidemitosis/rates/reviewed.py does: how they were
 * "chosen", the fractions "reviewed" and "combined" or null, and the 95 % "interval" and "combinedInterval" or null.
 */
Map reviewRate(List<Map> figures) {
    def known = figures.findAll { !Double.isNaN(it.p) || it.answer != null }
    if (!known.any { it.answer != null })
        return null
    if (known.every { it.answer != null })
        return censusRate(known)
    def everyone = known.findAll { !Double.isNaN(it.p) }
    def sample = everyone.findAll { it.reason == REASONS.random && it.answer in ['AMF', 'NMF', 'none'] }
    return sample.isEmpty() ? replacedRate(known) + [chosen: 'chosen'] : sampledRate(everyone, sample)
}

/** Rates of figures that were all reviewed; those that a person was not sure of may be either. */
Map censusRate(List<Map> figures) {
    def rate = replacedRate(figures)
    int k = figures.count { it.answer == 'AMF' }
    int unsure = figures.count { it.answer == 'unsure' }
    double both = k + figures.count { it.answer == 'NMF' } + unsure
    return rate + [
        chosen: 'all', interval: rate.reviewed == null ? null : [rate.reviewed, rate.reviewed],
        combinedInterval: both == 0 || rate.combined == null ? null : [k / both, (k + unsure) / both],
    ]
}

/** Rates where an answer stands in place of P(atypical). */
Map replacedRate(List<Map> figures) {
    int k = figures.count { it.answer == 'AMF' }
    int n = k + figures.count { it.answer == 'NMF' }
    def open = figures.findAll { it.answer in [null, 'unsure'] && !Double.isNaN(it.p) }*.p
    Double reviewed = n == 0 ? null : k / (n as double)
    Double combined = n + open.size() == 0 ? null : (k + (open.sum() ?: 0)) / (n + open.size() as double)
    return [reviewed: reviewed, combined: combined, interval: null, combinedInterval: null]
}

/** Rates of all figures, of which a random sample was reviewed. */
Map sampledRate(List<Map> everyone, List<Map> sample) {
    int k = sample.count { it.answer == 'AMF' }
    int n = k + sample.count { it.answer == 'NMF' }
    if (n == 0)
        return [chosen: 'random', reviewed: null, combined: null, interval: null, combinedInterval: null]
    double mean = everyone*.p.sum() / everyone.size()
    double error = sample.collect { (it.answer == 'AMF' ? 1 : 0) - it.p }.sum() / sample.size()
    double mitoses = n / (sample.size() as double)
    def all = Math.rint(everyone.size() * n / (sample.size() as double)) as long
    double combined = Math.min(Math.max((mean + error) / mitoses, 0d), 1d)
    def sure = sample.size() >= LEAST_SAMPLED
    return [
        chosen: 'random', reviewed: k / (n as double), combined: combined,
        interval: sure ? intervalOfFinite(k, n, all) : null,
        combinedInterval: sure ? intervalOfSample(combined, mitoses, sample, everyone.size()) : null,
    ]
}

/** Return the 95 % interval of the combined rate: Student's t on the model's errors, as two more of 1/2 and -1/2. */
List<Double> intervalOfSample(double combined, double mitoses, List<Map> sample, int everyone) {
    int n = sample.size()
    def errors = sample.collect { (it.answer == 'AMF' ? 1 : 0) - it.p - (it.answer == 'none' ? 0 : combined) as double }
    double mean = errors.sum() / n
    double squares = errors.collect { (it - mean) * (it - mean) }.sum() + 0.5
    double variance = squares / (n + 1) / (n + 2) * (1 - n / (everyone as double))
    double half = studentQuantile(n + 1) * Math.sqrt(variance) / mitoses
    return [Math.max(combined - half, 0d), Math.min(combined + half, 1d)]
}

/** Return the 97.5 % quantile of Student's t of more than one degree of freedom. */
double studentQuantile(int degrees) {
    double low = 0
    double high = 13
    60.times {
        double middle = (low + high) / 2
        if (withinStudent(middle, degrees) < 0.95)
            low = middle
        else
            high = middle
    }
    return high
}

/** Return how much of Student's t lies within -t and t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4). */
double withinStudent(double t, int degrees) {
    double angle = Math.atan(t / Math.sqrt(degrees))
    def isEven = degrees % 2 == 0
    double term = isEven ? 1 : Math.cos(angle)
    double sum = term
    for (int i = isEven ? 2 : 3; i <= degrees - 2; i += 2) {
        term *= Math.cos(angle) * Math.cos(angle) * (i - 1) / i
        sum += term
    }
    return isEven ? Math.sin(angle) * sum : (angle + Math.sin(angle) * sum) * 2 / Math.PI
}

/** Return Wilson's 95 % interval of k of n, which were drawn from `everyone` without replacement. */
List<Double> intervalOfFinite(int k, int n, long everyone) {
    double rest = (everyone - n) / (Math.max(everyone - 1, 1L) as double)
    if (rest <= 0)
        return [k / (n as double), k / (n as double)]
    double z = 1.959963984540054
    double size = n / rest
    double p = k / (n as double)
    double middle = (p + z * z / (2 * size)) / (1 + z * z / size)
    double half = z * Math.sqrt(p * (1 - p) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return [Math.max(middle - half, 0d), Math.min(middle + half, 1d)]
}

/** Return a rate as "slidemitosis count" states it: "30 % with the model (95 % interval 20 to 40 %)". */
String rateText(double fraction, String words, List<Double> interval) {
    return "${percent(fraction)} % ${words}" + (interval == null || interval[0] == interval[1] ? '' :
        " (95 % interval ${percent(interval[0])} to ${percent(interval[1])} %)")
}

/** Return how far a review is, and what it has found: one line, and two in one text. */
List<String> reviewLines(List objects) {
    def figures = reviewedFigures(objects)
    def names = [AMF: 'atypical', NMF: 'normal', none: 'no mitosis', unsure: 'unsure']
    def counts = names.collect { word, name -> [figures.count { it.answer == word }, name] }
    int done = counts.collect { it[0] }.sum()
    def line = "reviewed ${done} of ${figures.size()}: " +
        counts.findAll { it[0] > 0 || it[1] == 'atypical' }.collect { "${it[0]} ${it[1]}" }.join(', ')
    def rate = reviewRate(figures)
    if (rate == null)
        return [line.toString(), ' \n ']
    def parts = [
        [rate.reviewed, 'atypical by the answers', rate.interval],
        [rate.combined, 'with the model', rate.combinedInterval],
    ].findAll { it[0] != null }.collect { fraction, words, interval -> rateText(fraction, words, interval) }
    def because = [all: 'all were reviewed', random: 'from a random sample',
        chosen: 'not unbiased: neither all nor a random sample']
    return [line.toString(), "${parts.join('\n')} (${because[rate.chosen]})".toString()]
}

/** Return the class of an object for an answer. */
PathClass answeredClass(object, String answer, Collection<String> bases) {
    if (answer == 'none')
        return classOf(['Non-mitosis'], [128, 128, 128])
    def base = object.getPathClass() == null ? CANDIDATE_CLASS : baseClass(className(object))
    def names = classParts(bases.contains(base) ? base : CANDIDATE_CLASS)
    if (answer == 'unsure')
        return classOf(names, null)
    return answer == 'AMF' ? classOf(names + 'Atypical', [213, 94, 0]) : classOf(names + 'Normal', [0, 114, 178])
}

/**
 * Give objects the answer of a person, and return what takes it back. A figure of a random sample stays one. QuPath is
 * told once, so that its own Undo takes it back too.
 */
Closure answered(List objects, List figures, String answer, int reason) {
    def bases = basesOf(figures)
    def undo = objects.collect { restorer(it) }
    objects.each { object ->
        def list = object.getMeasurementList()
        setClass(object, answeredClass(object, answer, bases), object.getColor())
        list.put('Reviewed', list.get('Reviewed') == REASONS.random ? REASONS.random as double : reason as double)
        list.close()
    }
    fireHierarchyUpdate()
    return { ->
        undo.each { it() }
        fireHierarchyUpdate()
    }
}
